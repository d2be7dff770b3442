"""Data that the weights of a run have seen, with those of earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_collections

from uda_jax.data import label_fraction
from uda_jax.data import records


def started_from(manifest: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the declared facts about the weights that a run started from.

  Args:
    manifest: of the run, as `manifest.json` holds it.

  Returns:
    Fields of `models.weights.metadata`; {} after a random start.
  """
  start = manifest['starts'][0]
  weights = start.get('weights') or {}
  return start.get('warm_start') or weights.get('declared', {})


def declared(
  config: ml_collections.ConfigDict, method: str, before: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns what a run's weights were trained on.

  Args:
    config: the run's.
    method: its full name.
    before: the facts about the weights that the run started from.

  Returns:
    `trained_on`; `saw_target_labels`: the run or one before it learned
    from labels of its target. `licence`: of the weights that it started from,
    if that is declared.
  """
  data = config.data
  source, target = (records.title(data, x) for x in ('source', 'target'))
  oracle = data.source == data.target
  part = label_fraction.weight(config.data) and config.data.target_labels
  trained_on = f'{source} with labels'
  if not oracle:
    some = f'with {part} of its labels' if part else 'without'
    trained_on += f', {target} {some} (method {method})'
  earlier = before.get('trained_on')
  licence = before.get('licence')
  return {
    'trained_on': f'{earlier}; {trained_on}' if earlier else trained_on,
    'saw_target_labels': oracle
    or bool(part)
    or bool(before.get('saw_target_labels')),
    **({'licence': licence} if licence else {}),
  }
