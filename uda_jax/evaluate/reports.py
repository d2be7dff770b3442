"""Scores of confusion matrices as dicts, as a readable table, as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import io
import math
import os
import pathlib
from typing import Any

import numpy as np

from uda_jax import files
from uda_jax.evaluate import metrics
from uda_jax.evaluate import protocol

_RESULTS = 'results'
# What the files are called of a run that trains on after them.
_EARLIER = 'earlier_results'
# The name of the mean over every class; others are named in the config.
ALL = 'all classes'


def _or_none(score: float) -> float | None:
  """NaN is no JSON."""
  return None if math.isnan(score) else float(score)


def report(
  confusion: np.ndarray,
  class_names: Sequence[str],
  subsets: Mapping[str, Sequence[int]],
) -> dict[str, Any]:
  """Makes the scores of a confusion matrix, ready for JSON.

  Args:
    confusion: [C, C] counts, rows truth.
    class_names: C names.
    subsets: name -> the classes that a mean is taken over.

  Returns:
    `iou` by class and `miou` by subset in 0..1, `pixel_accuracy`,
    `mean_accuracy`, `mean_precision`, `frequency_weighted_iou`, `pixels`, and
    `confusion`: the counts as lists. A class that is neither in the labels nor
    predicted has no score (None) and is left out of means.
  """
  if len(class_names) != len(confusion):
    raise ValueError(
      f'report: expected {len(confusion)} class names, got {len(class_names)}'
    )
  return {
    'miou': {
      name: _or_none(metrics.mean_iou(confusion, classes))
      for name, classes in subsets.items()
    },
    'iou': dict(zip(class_names, map(_or_none, metrics.iou(confusion)))),
    'pixel_accuracy': _or_none(metrics.pixel_accuracy(confusion)),
    'mean_accuracy': _or_none(metrics.mean(metrics.accuracy(confusion))),
    'mean_precision': _or_none(metrics.mean(metrics.precision(confusion))),
    'frequency_weighted_iou': _or_none(
      metrics.frequency_weighted_iou(confusion)
    ),
    'pixels': int(confusion.sum()),
    'confusion': np.asarray(confusion).tolist(),
  }


def mean(
  sets: Mapping[str, dict[str, Any]], confusion: np.ndarray
) -> dict[str, Any]:
  """Returns the report of several data sets: each score is the sets' mean.

  Args:
    sets: reports by the name of the set, of the same classes.
    confusion: [C, C] counts over all of them.

  Returns:
    As `report`, with `pixels` and `confusion` of all sets together, and `sets`.
    A set in which a class has no score is left out of the class's mean.
  """

  def average(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], Mapping):
      return {
        name: average([part[name] for part in parts]) for name in parts[0]
      }
    known = [part for part in parts if part is not None]
    return sum(known) / len(known) if known else None

  scores = [
    {k: v for k, v in one.items() if k not in ('pixels', 'confusion')}
    for one in sets.values()
  ]
  return average(scores) | {
    'pixels': int(confusion.sum()),
    'confusion': np.asarray(confusion).tolist(),
    'sets': dict(sets),
  }


def with_sets(reports: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
  """Returns a row for each data set after the one of their mean.

  Args:
    reports: row name -> report; one of several sets keeps their names alone.
  """
  rows = {}
  for name, scores in reports.items():
    sets = scores.get('sets', {})
    rows[name] = scores | ({'sets': [*sets]} if sets else {})
    same = {
      k: scores[k] for k in ('label_size', 'step', 'selected') if k in scores
    }
    for one, own in sets.items():
      rows[f'{name} on {one}'] = own | same
  return rows


def full_size(name: str) -> str:
  """Returns the row of a network's score against labels of full size."""
  return f'{name}, labels at full size'


def row_name(name: str, scores: Mapping[str, Any]) -> str:
  """Returns the name of a row: which sets, labels, and how it was selected."""
  if 'sets' in scores:
    name += f', mean of {len(scores["sets"])} sets'
  if 'label_size' in scores:
    name += f', labels at {protocol.size_text(scores["label_size"])}'
  return f'{name}, {scores["selected"]}' if 'selected' in scores else name


def _mean_name(subset: str, scores: Mapping[str, Any]) -> str:
  """The name of a mean, which says over how many classes it is."""
  return f'all {len(scores["iou"])} classes' if subset == ALL else subset


def format_table(reports: Mapping[str, dict[str, Any]]) -> str:
  """Formats reports as text: one row per run, one column per class, percent.

  Args:
    reports: row name -> report, all of the same classes and subsets.
  """
  percent = lambda score: '-' if score is None else f'{100 * score:.1f}'
  first = next(iter(reports.values()))
  words = [['run']] + [
    ['mIoU', *_mean_name(name, first).split()] for name in first['miou']
  ]
  words += [name.split() for name in first['iou']] + [['pixel', 'acc.']]
  height = max(map(len, words))
  # Names have one word per line, so that columns are narrow.
  lines = [[''] * (height - len(w)) + w for w in words]
  columns = [list(column) for column in lines]
  for name, scores in reports.items():
    values = [
      *scores['miou'].values(),
      *scores['iou'].values(),
      scores['pixel_accuracy'],
    ]
    for column, text in zip(
      columns, [row_name(name, scores), *map(percent, values)]
    ):
      column.append(text)
  widths = [max(map(len, column)) for column in columns]
  rows = [
    '  '.join(
      [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
    ).rstrip()
    for row in zip(*columns)
  ]
  rule = '-' * max(map(len, rows))
  return '\n'.join([*rows[:height], rule, *rows[height:]]) + '\n'


def to_csv(reports: Mapping[str, dict[str, Any]]) -> str:
  """Formats reports as CSV: one row per class and mean, one column per run.

  Args:
    reports: as for `format_table`; scores stay in 0..1, unknown ones are empty.
  """
  first = next(iter(reports.values()))
  file = io.StringIO()
  write = csv.writer(file, lineterminator='\n').writerow
  write(['IoU', *(row_name(*item) for item in reports.items())])
  for name in first['iou']:
    write([name, *(r['iou'][name] for r in reports.values())])
  for name in first['miou']:
    write(
      [
        f'mean of {_mean_name(name, first)}',
        *(r['miou'][name] for r in reports.values()),
      ]
    )
  write(['pixel accuracy', *(r['pixel_accuracy'] for r in reports.values())])
  return file.getvalue()


def write_results(
  workdir: os.PathLike | str,
  reports: Mapping[str, dict[str, Any]],
  notes: Sequence[str] = (),
) -> None:
  """Writes results.json, .csv and, as a table, .txt; each whole or not at all.

  Args:
    workdir: the run's directory.
    reports: row name -> `reports.report`.
    notes: lines below the table.
  """
  workdir = pathlib.Path(workdir)
  text = format_table(reports)
  text += ''.join(f'{note}\n' for note in ['', *notes] if notes)
  contents = {
    'json': files.to_json(dict(reports)),
    'csv': to_csv(reports).encode(),
    # Paths need not be UTF-8.
    'txt': text.encode('utf8', 'backslashreplace'),
  }
  for ending, content in contents.items():
    files.write_atomically(workdir / f'{_RESULTS}.{ending}', content)


def set_aside(workdir: pathlib.Path) -> bool:
  """Renames the results of a run that trains on, to earlier_results.*.

  They are not those of its network any more.

  Args:
    workdir: the run's directory.

  Returns:
    Whether there were any.
  """
  found = [
    workdir / f'{_RESULTS}.{ending}' for ending in ('json', 'csv', 'txt')
  ]
  found = [path for path in found if path.exists()]
  for path in found:
    path.replace(path.with_stem(_EARLIER))
  return bool(found)
