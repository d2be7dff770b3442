"""Scores on labeled target images, when everything is trained and chosen.

The configs of the runs do not name these labels: neither training nor selection
can read them.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jax

from uda_jax import files
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import datasets as dataset_blocks
from uda_jax.data import datasets
from uda_jax.evaluate import scoring
from uda_jax.runs import compile_cache
from uda_jax.runs import restore

_ROW = '{}, on {}'


def load(config: types.Config, fields: dict[str, Any]) -> Any:
  """Prepares the labeled images, and returns their manifest.

  Args:
    config: of a run.
    fields: of `target_record.read`.

  Raises:
    ValueError: the classes of the config were changed.
  """
  names = tuple(config.data.source.class_names)
  if names != fields['class_names']:
    raise ValueError(
      f'--target_labels: expected the classes of the config {names}, which was '
      f'edited, got {fields["class_names"]}; score the runs with python -m '
      'uda_jax.evaluate --config=FILE'
    )
  return datasets.load(
    dataset_blocks.folder(**fields),
    root=config.data.root,
    cache_dir=config.data.cache_dir,
    field='--target_labels',
    labels=True,
  )


def score(workdir: pathlib.Path, data: Any) -> dict[str, Any]:
  """Scores the network that a run reports, and adds a row to its results.

  Args:
    workdir: of the run.
    data: manifest of the images.

  Returns:
    See `evaluate.reports.report`.
  """
  trained = restore.load(workdir)
  config = trained.config
  mesh = parallel.make_mesh(config.devices or None)
  variables = jax.device_put(trained.variables, parallel.replicated(mesh))
  with compile_cache.using(config.compile_cache):
    predict = scoring.make_predict(config, trained.network, mesh)
    labeled = scoring.make_labeled(config, predict, data)
    report = labeled.score(variables)
  path = workdir / 'results.json'
  results = json.loads(path.read_text())
  results[_ROW.format(restore.reported(config), data.name)] = report
  files.write_atomically(path, files.to_json(results))
  return report
