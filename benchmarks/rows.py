"""Rows of the tables: stored runs, and tables of earlier runs.

Earlier runs were measured before the counts of images were stored; their tables
in results/earlier have scores by seed, to a tenth of a point, and the IoU of
each class. A row of stored runs takes the place of the earlier row of the same
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import io
import pathlib
from typing import NamedTuple

import numpy as np

from benchmarks import records

EARLIER = pathlib.Path(__file__).parent / 'results' / 'earlier'


class Row(NamedTuple):
  """The runs of one network of a config, with several seeds.

  Attributes:
    name: such as 'self_training, teacher'.
    scores: mean IoU in percent by seed.
    seeds: the seeds; () for an earlier row, whose scores are in their order.
    iou: by class, the mean over seeds in percent; None: unknown.
    spread: standard deviation over seeds; NaN with one.
    mean: over seeds.
    counts: [S, N, C, 2] intersection and union; None for an earlier row.
  """

  name: str
  scores: tuple[float, ...]
  seeds: tuple[int, ...]
  iou: Mapping[str, float | None]
  spread: float
  mean: float
  counts: np.ndarray | None


def earlier(name: str, folder: pathlib.Path = EARLIER) -> list[Row]:
  """Returns the rows of an earlier table, [] without one.

  Args:
    name: of the file, without ending.
    folder: of the files.
  """
  file = folder / f'{name}.csv'
  if not file.exists():
    return []
  number = lambda text: float(text) if text else float('nan')
  found = []
  for row in csv.DictReader(io.StringIO(file.read_text())):
    run, mean, spread, by_seed = (
      row.pop(key) for key in ('run', 'mIoU', 'spread', 'by seed')
    )
    scores = tuple(float(text) for text in by_seed.split(' / '))
    iou = {key: float(x) if x else None for key, x in row.items()}
    found.append(Row(run, scores, (), iou, number(spread), number(mean), None))
  return found


def stored(found: Sequence[records.Record]) -> list[Row]:
  """Returns the rows of stored runs of one benchmark and length.

  Args:
    found: the records, by seed within a config.
  """
  groups: dict[str, list[tuple[records.Record, str]]] = {}
  for record in found:
    for network in record.networks:
      name = f'{record.job.config}, {network}'
      groups.setdefault(name, []).append((record, network))
  return [_row(name, group) for name, group in groups.items()]


def _row(name: str, group: Sequence[tuple[records.Record, str]]) -> Row:
  reports = [records.report(record, network) for record, network in group]
  scores = tuple(
    100 * next(iter(report['miou'].values())) for report in reports
  )
  iou = {}
  for key in reports[0]['iou']:
    known = [r['iou'][key] for r in reports if r['iou'][key] is not None]
    iou[key] = 100 * float(np.mean(known)) if known else None
  return Row(
    name,
    scores,
    tuple(record.job.seed for record, _ in group),
    iou,
    float(np.std(scores, ddof=1)) if len(scores) > 1 else float('nan'),
    float(np.mean(scores)),
    np.stack([record.networks[network].counts for record, network in group]),
  )


def merged(new: Sequence[Row], old: Sequence[Row]) -> list[Row]:
  """Returns the rows of both, the new one where both have a name."""
  names = {row.name for row in new}
  return [*new, *(row for row in old if row.name not in names)]


def by_seed(row: Row) -> str:
  """Returns the scores of the seeds, such as '41.7 / 45.6'."""
  return ' / '.join(f'{score:.1f}' for score in row.scores)


def score(row: Row) -> str:
  """Returns mean and spread, such as '43.5 ± 1.9'."""
  spread = '' if np.isnan(row.spread) else f' ± {row.spread:.1f}'
  return f'{row.mean:.1f}{spread}'


def table(rows: Sequence[Row]) -> str:
  """Returns a Markdown table of the scores."""
  lines = ['| run | mIoU | by seed | counts of images |', '|---|---|---|---|']
  for row in rows:
    have = 'no, an earlier run' if row.counts is None else 'stored'
    lines.append(f'| {row.name} | {score(row)} | {by_seed(row)} | {have} |')
  return '\n'.join(lines) + '\n'


def to_csv(rows: Sequence[Row]) -> str:
  """Returns the table with the IoU of each class; `counts`: whether stored."""
  file = io.StringIO()
  write = csv.writer(file, lineterminator='\n').writerow
  write(['run', 'mIoU', 'spread', 'by seed', 'counts', *rows[0].iou])
  for row in rows:
    spread = '' if np.isnan(row.spread) else f'{row.spread:.1f}'
    classes = ['' if x is None else f'{x:.1f}' for x in row.iou.values()]
    have = 'no' if row.counts is None else 'yes'
    write([row.name, f'{row.mean:.1f}', spread, by_seed(row), have, *classes])
  return file.getvalue()
