"""Scalar curves from the event files of a run; the only user of TensorBoard."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
  """A scalar over the steps of a run.

  Attributes:
    steps: [N] int64, ascending.
    values: [N] float64; NaN and infinite where the run had them.
  """

  steps: np.ndarray
  values: np.ndarray


def scalars(folder: pathlib.Path) -> dict[str, Curve]:
  """Reads all scalars that a run wrote.

  A resumed run has one file for each start. Where starts overlap, the later one
  counts: the run went back to its checkpoint.

  Args:
    folder: `<run>/curves`; may be absent. A file that a killed run left
      truncated is read up to its last whole record.

  Returns:
    Curves by name, such as 'loss/source', in the order of their first points;
    {} without event files.
  """
  # TensorFlow comes with them.
  from tensorboard.backend.event_processing import event_file_loader
  from tensorboard.util import tensor_util

  points: dict[str, dict[int, float]] = {}
  for path in sorted(folder.glob('events.out.tfevents.*')):
    for event in event_file_loader.EventFileLoader(str(path)).Load():
      for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name == 'scalars':
          number = tensor_util.make_ndarray(value.tensor).item()
          points.setdefault(value.tag, {})[event.step] = float(number)
  return {name: _curve(found) for name, found in points.items()}


def _curve(points: dict[int, float]) -> Curve:
  steps = sorted(points)
  return Curve(np.array(steps), np.array([points[step] for step in steps]))
