"""Rows of the tables: the stored runs of one network of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import io
from typing import NamedTuple

import numpy as np

from benchmarks import plan
from benchmarks import records as records_lib
from uda_jax import configs


class Row(NamedTuple):
  """The runs of one network of a config, with several seeds.

  Attributes:
    name: such as 'self_training, teacher'.
    scores: mean IoU in percent by seed.
    seeds: the seeds.
    iou: by class, the mean over seeds in percent; None: unknown.
    counts: [S, N, C, 2] intersection and union of every image.
  """

  name: str
  scores: tuple[float, ...]
  seeds: tuple[int, ...]
  iou: Mapping[str, float | None]
  counts: np.ndarray

  @property
  def mean(self) -> float:
    """The mean IoU over seeds."""
    return float(np.mean(self.scores))


class Results(NamedTuple):
  """Everything that is stored.

  Attributes:
    records: of all runs.
  """

  records: Sequence[records_lib.Record]

  def of(self, benchmark: str, steps: int) -> list[records_lib.Record]:
    """Returns the records of one benchmark and length."""
    return [
      r
      for r in self.records
      if (r.job.benchmark, r.job.steps) == (benchmark, steps)
    ]

  def rows(self, benchmark: str) -> list[Row]:
    """Returns the rows of a benchmark at the length of its configs."""
    return stored(self.of(benchmark, length(benchmark)))

  def lengths(self, benchmark: str) -> list[int]:
    """Returns the lengths of a benchmark's runs."""
    steps = {r.job.steps for r in self.records if r.job.benchmark == benchmark}
    return sorted(steps)

  def benchmarks(self) -> list[str]:
    """Returns the benchmarks that have a row."""
    return [name for name in plan.benchmarks() if self.rows(name)]


def length(benchmark: str) -> int:
  """Returns the steps of a benchmark's configs."""
  return configs.load(f'{benchmark}/source_only').steps


def stored(found: Sequence[records_lib.Record]) -> list[Row]:
  """Returns the rows of stored runs of one benchmark and length.

  Args:
    found: the records, by seed within a config.
  """
  groups: dict[str, list[tuple[records_lib.Record, str]]] = {}
  for record in found:
    for network in record.networks:
      name = f'{record.job.config}, {network}'
      groups.setdefault(name, []).append((record, network))
  return [_row(name, group) for name, group in groups.items()]


def _row(name: str, group: Sequence[tuple[records_lib.Record, str]]) -> Row:
  reports = [records_lib.report(record, network) for record, network in group]
  iou = {}
  for key in reports[0]['iou']:
    known = [r['iou'][key] for r in reports if r['iou'][key] is not None]
    iou[key] = 100 * float(np.mean(known)) if known else None
  return Row(
    name,
    tuple(100 * next(iter(report['miou'].values())) for report in reports),
    tuple(record.job.seed for record, _ in group),
    iou,
    np.stack([record.networks[network].counts for record, network in group]),
  )


def by_seed(scores: Sequence[float]) -> str:
  """Returns the scores of the seeds, such as '41.7 / 45.6'."""
  return ' / '.join(f'{score:.1f}' for score in scores)


def spread(scores: Sequence[float]) -> str:
  """Returns the standard deviation over seeds, '' with one."""
  return f'{np.std(scores, ddof=1):.1f}' if len(scores) > 1 else ''


def score(scores: Sequence[float]) -> str:
  """Returns mean and spread, such as '43.5 ± 1.9'."""
  around = spread(scores)
  return f'{np.mean(scores):.1f}{around and f" ± {around}"}'


def to_csv(rows: Sequence[Row]) -> str:
  """Returns the scores with the IoU of each class."""
  file = io.StringIO()
  write = csv.writer(file, lineterminator='\n').writerow
  write(['run', 'mIoU', 'spread', 'by seed', *rows[0].iou])
  for row in rows:
    classes = ['' if x is None else f'{x:.1f}' for x in row.iou.values()]
    mean, around = f'{row.mean:.1f}', spread(row.scores)
    write([row.name, mean, around, by_seed(row.scores), *classes])
  return file.getvalue()
