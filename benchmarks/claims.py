"""Tests of whether runs are better than others, for every row of a table.

No comparison is chosen by hand: every row of a benchmark is compared with the
source alone, and with self-training.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import rows as rows_lib
from uda_jax.evaluate import paired

SOURCE = 'source_only, student'
# The base of PiPa, CLUDA and MIC; plain self-training where it was not run.
BASE = 'daformer, teacher'
PLAIN = 'self_training, teacher'
# Earlier runs with other settings are compared among themselves.
OTHER_SETTINGS = ' without class balance'
# The upper bound is compared with nothing.
_BOUNDS = ('oracle',)
LEVEL = 0.95
RESAMPLES = 2000


class Claim(NamedTuple):
  """A comparison, in points of mean IoU.

  Attributes:
    gain: mean difference over seeds.
    by_seed: difference of each seed.
    seeds: (low, high) of the t-test over seeds; NaN with one seed.
    images: (low, high) of the bootstrap over seeds and images; None without
      counts.
    p: of the bootstrap; None without counts.
    verdict: 'better', 'worse' or 'not shown'.
  """

  gain: float
  by_seed: tuple[float, ...]
  seeds: tuple[float, float]
  images: tuple[float, float] | None
  p: float | None
  verdict: str


def compare(first: rows_lib.Row, second: rows_lib.Row) -> Claim | None:
  """Compares two rows; None if they have no seeds in common.

  Stored runs are paired by seed. Of an earlier row the seeds are not stored: it
  is paired with another earlier one in their order (0, 1, 2).

  'better' (or 'worse'): the interval of the t-test over seeds excludes 0 and,
  where counts are stored, that of the bootstrap over seeds and images, too.
  """
  if (first.counts is None) != (second.counts is None):
    return None
  if first.counts is None or second.counts is None:
    size = min(len(first.scores), len(second.scores))
    one = two = list(range(size))
  else:
    both = [seed for seed in first.seeds if seed in second.seeds]
    one = [first.seeds.index(seed) for seed in both]
    two = [second.seeds.index(seed) for seed in both]
  if not one:
    return None
  gains = [first.scores[i] - second.scores[j] for i, j in zip(one, two)]
  low, high, _ = paired.over_seeds(gains, LEVEL)
  images = p = None
  if first.counts is not None and second.counts is not None:
    found = paired.bootstrap(
      first.counts[one],
      second.counts[two],
      resamples=RESAMPLES,
      level=LEVEL,
    )
    images, p = (100 * found.low, 100 * found.high), found.p
  return Claim(
    float(np.mean(gains)),
    tuple(gains),
    (low, high),
    images,
    p,
    _verdict([(low, high), *([images] if images else [])]),
  )


def _verdict(intervals: Sequence[tuple[float, float]]) -> str:
  if any(np.isnan(low) for low, _ in intervals):
    return 'not shown'
  if all(low > 0 for low, _ in intervals):
    return 'better'
  return 'worse' if all(high < 0 for _, high in intervals) else 'not shown'


def table(
  rows: Sequence[rows_lib.Row], than: str, *, alike: bool = False
) -> str:
  """Returns a Markdown table: each row against one of them.

  Args:
    rows: of a benchmark.
    than: name of the row that the others are compared with; rows of
      `OTHER_SETTINGS` with that row of these settings.
    alike: students are compared with the student of that run: scored with
      other batch-norm statistics, it differs from its teacher by itself.
  """
  title = than + (' (students: its student)' if alike else '')
  lines = [
    f'| run, against {title} | gain | by seed | 95 % over seeds '
    '| 95 % over seeds and images | p | verdict |',
    '|---|---|---|---|---|---|---|',
  ]
  by_name = {row.name: row for row in rows}
  if not {than, in_other_settings(than)} & set(by_name):
    return f'No row {than} yet.\n'
  for row in rows:
    second = by_name.get(_second(row.name, than, by_name, alike))
    if second is None or row is second or row.name.startswith(_BOUNDS):
      continue
    claim = compare(row, second)
    if claim is not None:
      lines.append(f'| {row.name} | {_cells(claim)} |')
  return '\n'.join(lines) + '\n'


def _second(name: str, than: str, known: Collection[str], alike: bool) -> str:
  """Returns the name of the row that a row is compared with, see `table`."""
  if OTHER_SETTINGS in name:
    than = in_other_settings(than)
  student = than.replace(', teacher', ', student')
  if alike and name.endswith(', student') and name != student in known:
    return student
  return than


def in_other_settings(name: str) -> str:
  """Returns the name of a row's earlier run with `OTHER_SETTINGS`."""
  config, comma, network = name.partition(',')
  return f'{config}{OTHER_SETTINGS}{comma}{network}'


def base(rows: Sequence[rows_lib.Row]) -> str:
  """Returns the name of the row that methods are compared with."""
  return BASE if BASE in {row.name for row in rows} else PLAIN


def _cells(claim: Claim) -> str:
  one_seed = len(claim.by_seed) < 2
  return ' | '.join(
    (
      f'{claim.gain:+.1f}',
      ' / '.join(f'{x:+.1f}' for x in claim.by_seed),
      'one seed' if one_seed else _interval(claim.seeds),
      _interval(claim.images) if claim.images else 'counts not stored',
      '' if claim.p is None else f'{claim.p:.2g}',
      claim.verdict,
    )
  )


def _interval(ends: tuple[float, float]) -> str:
  return f'{ends[0]:+.1f} to {ends[1]:+.1f}'
