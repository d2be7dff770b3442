"""Tables of scores and confusions over several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any, NamedTuple

import numpy as np

from uda_jax.evaluate import metrics
from uda_jax.evaluate import reports
from uda_jax.report import read

# The row of batch norm's statistics of target images, and its usual name.
_ADABN = {'student, target statistics': 'student, target statistics (AdaBN)'}
# Confusions listed for a run.
_MOST_CONFUSIONS = 15

Row = tuple[str, list[float | None]]


class Column(NamedTuple):
  """A network of a run.

  Attributes:
    run: number of the run.
    name: of the network, and how it was selected.
    reported: whether the run reports it.
    report: of `evaluate.reports.report`.
  """

  run: int
  name: str
  reported: bool
  report: Mapping[str, Any]


class Confusion(NamedTuple):
  """Confusion matrix of a network and its largest entries.

  Attributes:
    class_names: C names.
    fractions: [C, C] of the pixels of a true class (row), NaN without any.
    counts: [C, C] pixels.
    largest: (truth, prediction, fraction, pixels), most pixels first.
  """

  class_names: Sequence[str]
  fractions: np.ndarray
  counts: np.ndarray
  largest: list[tuple[str, str, float, int]]


def columns(runs: Sequence[read.Run]) -> list[Column]:
  """Returns all scored networks of all runs."""
  return [
    Column(
      number,
      reports.row_name(_ADABN.get(name, name), report),
      name == run.reported,
      report,
    )
    for number, run in enumerate(runs)
    for name, report in run.results.items()
  ]


def by_class(table: Sequence[Column]) -> list[Row]:
  """Returns the IoU of each class that any network has, a row a class."""
  names = dict.fromkeys(name for c in table for name in c.report['iou'])
  return [(name, [c.report['iou'].get(name) for c in table]) for name in names]


def means(table: Sequence[Column]) -> list[Row]:
  """Returns mean IoU by subset of classes, and pixel accuracy."""
  names = dict.fromkeys(name for c in table for name in c.report['miou'])
  rows = [
    (f'mean of {name}', [c.report['miou'].get(name) for c in table])
    for name in names
  ]
  accuracy = [c.report.get('pixel_accuracy') for c in table]
  return [*rows, ('pixel accuracy', accuracy)] if rows else []


def label_free(table: Sequence[Column]) -> list[Row]:
  """Returns the criteria that need no labels; [] where none was measured."""
  names = dict.fromkeys(
    name for c in table for name in c.report.get('label_free', {})
  )
  return [
    (name, [c.report.get('label_free', {}).get(name) for c in table])
    for name in names
  ]


def images(table: Sequence[Column]) -> list[tuple[Column, str, list[Any]]]:
  """Returns (network, 'worst' or 'best', rows) of the reported networks.

  The rows are those of `evaluate.by_image.summary`, with the file's name.
  """
  return [
    (
      column,
      kind,
      [
        row | {'name': pathlib.PurePath(row['image']).name}
        for row in column.report['images'][kind]
      ],
    )
    for column in table
    if column.reported and column.report.get('images')
    for kind in ('worst', 'best')
  ]


def confusion(report: Mapping[str, Any]) -> Confusion | None:
  """Returns the confusions of a network; None if its report has no matrix.

  Args:
    report: of `evaluate.reports.report`.
  """
  if 'confusion' not in report:
    return None
  names = list(report['iou'])
  counts = np.array(report['confusion'], np.int64)
  totals = np.broadcast_to(counts.sum(1, keepdims=True), counts.shape)
  fractions = metrics.ratio(counts, totals)
  wrong = counts * ~np.eye(len(counts), dtype=bool)
  order = np.argsort(-wrong, axis=None, kind='stable')[:_MOST_CONFUSIONS]
  largest = [
    (names[i], names[j], float(fractions[i, j]), int(wrong[i, j]))
    for i, j in zip(*np.unravel_index(order, wrong.shape))
    if wrong[i, j]
  ]
  return Confusion(names, fractions, counts, largest)
