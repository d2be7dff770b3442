"""Trees that orbax has stored: their shapes, and parts of them."""

from __future__ import annotations

import json
import logging
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

from uda_jax.runs import checksums

# Folders below a run's directory, and items in their folders of a step.
CHECKPOINTS, BEST = 'checkpoints', 'best'
STATE, NET, SCORE = 'state', 'net', 'score'


def steps(folder: pathlib.Path) -> list[int]:
  """Returns the steps of the checkpoints in a folder, [] without any."""
  return list(ocp.utils.checkpoint_steps(folder)) if folder.is_dir() else []


def shapes(folder: pathlib.Path) -> Any:
  """Returns the tree of a stored item, with shapes in place of arrays."""
  with checksums.reading(folder):
    return ocp.PyTreeCheckpointer().metadata(folder).item_metadata.tree


def read(folder: pathlib.Path, like: Any) -> Any:
  """Reads the parts of a stored item that `like` has."""
  item = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
  )
  return ocp.PyTreeCheckpointer().restore(
    folder,
    args=ocp.args.PyTreeRestore(
      item,
      partial_restore=True,
      restore_args=ocp.checkpoint_utils.construct_restore_args(item),
    ),
  )


def step(run: pathlib.Path, which: str) -> int | None:
  """Returns after how many steps a network of a run was stored.

  Args:
    run: its directory.
    which: 'student', 'teacher' or 'best'.

  Returns:
    None if there is no such network, or its step was not stored with it.
  """
  folder = run / (BEST if which == 'best' else CHECKPOINTS)
  newest = max(steps(folder), default=None)
  if newest is None or which != 'best':
    return newest
  # The numbers of best networks count improvements; the score has the step.
  score = folder / str(newest) / SCORE / 'metadata'
  try:
    return json.loads(score.read_text()).get('step')
  except (OSError, ValueError):
    return None


def quiet_orbax() -> None:
  """Hides orbax's log lines other than errors."""
  logging.getLogger('absl').addFilter(_not_orbax_chatter)


def _not_orbax_chatter(record: logging.LogRecord) -> bool:
  return record.levelno >= logging.ERROR or 'orbax' not in record.pathname
