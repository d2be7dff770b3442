"""Tests of whether runs are better than others, for every row of a table.

No comparison is chosen by hand: every row of a benchmark is compared with the
source alone, and with self-training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import rows as rows_lib
from uda_jax.evaluate import paired

SOURCE = 'source_only, student'
# The base of PiPa, CLUDA and MIC; plain self-training where it was not run.
BASE = 'daformer, teacher'
PLAIN = 'self_training, teacher'
# The upper bound, which is compared with nothing.
ORACLE = 'oracle, student'
LEVEL = 0.95
RESAMPLES = 2000
# Columns of `cells`.
HEAD = (
  'gain',
  'by seed',
  '95 % over seeds',
  '95 % over seeds and images',
  'p',
  'verdict',
)


class Claim(NamedTuple):
  """A comparison, in points of mean IoU.

  Attributes:
    gain: mean difference over seeds.
    by_seed: difference of each seed.
    seeds: (low, high) of the t-test over seeds; NaN with one seed.
    images: (low, high) of the bootstrap over seeds and images.
    p: of the bootstrap.
    verdict: 'better', 'worse', 'not shown' or 'one seed'.
  """

  gain: float
  by_seed: tuple[float, ...]
  seeds: tuple[float, float]
  images: tuple[float, float]
  p: float
  verdict: str


def compare(first: rows_lib.Row, second: rows_lib.Row) -> Claim | None:
  """Compares two rows by their common seeds; None if there are none.

  'better' (or 'worse'): the interval of the t-test over seeds excludes 0, and
  that of the bootstrap over seeds and images, too.
  """
  both = [seed for seed in first.seeds if seed in second.seeds]
  if not both:
    return None
  one = [first.seeds.index(seed) for seed in both]
  two = [second.seeds.index(seed) for seed in both]
  gains = [first.scores[i] - second.scores[j] for i, j in zip(one, two)]
  low, high, _ = paired.over_seeds(gains, LEVEL)
  found = paired.bootstrap(
    first.counts[one], second.counts[two], resamples=RESAMPLES, level=LEVEL
  )
  images = 100 * found.low, 100 * found.high
  return Claim(
    float(np.mean(gains)),
    tuple(gains),
    (low, high),
    images,
    found.p,
    _verdict((low, high), images),
  )


def _verdict(seeds: tuple[float, float], images: tuple[float, float]) -> str:
  if np.isnan(seeds[0]):
    return 'one seed'
  if seeds[0] > 0 and images[0] > 0:
    return 'better'
  return 'worse' if seeds[1] < 0 and images[1] < 0 else 'not shown'


def against(
  rows: Sequence[rows_lib.Row], than: str, *, alike: bool = False
) -> dict[str, Claim]:
  """Returns each row's comparison with one of them, by the name of the row.

  Args:
    rows: of a benchmark.
    than: name of the row that the others are compared with.
    alike: students are compared with the student of that run: scored with
      other batch-norm statistics, it differs from its teacher by itself.
  """
  by_name = {row.name: row for row in rows}
  found = {}
  for row in rows:
    second = _second(row, than, by_name, alike)
    if second is None or row is second or row.name == ORACLE:
      continue
    claim = compare(row, second)
    if claim is not None:
      found[row.name] = claim
  return found


def _second(
  row: rows_lib.Row, than: str, by_name: Mapping[str, rows_lib.Row], alike: bool
) -> rows_lib.Row | None:
  """Returns the row that a row is compared with, see `against`."""
  student = by_name.get(than.replace(', teacher', ', student'))
  if alike and row.name.endswith(', student') and row is not student:
    return student or by_name.get(than)
  return by_name.get(than)


def base(rows: Sequence[rows_lib.Row]) -> str:
  """Returns the name of the row that methods are compared with."""
  return BASE if BASE in {row.name for row in rows} else PLAIN


def short(claim: Claim | None) -> str:
  """Returns gain, interval over seeds and verdict; '' without a claim."""
  if claim is None:
    return ''
  if claim.verdict == 'one seed':
    return f'{claim.gain:+.1f}, one seed'
  return f'{claim.gain:+.1f} ({interval(claim.seeds)}), {claim.verdict}'


def cells(claim: Claim) -> list[str]:
  """Returns all of a claim, in the columns of `HEAD`."""
  return [
    f'{claim.gain:+.1f}',
    ' / '.join(f'{x:+.1f}' for x in claim.by_seed),
    '' if np.isnan(claim.seeds[0]) else interval(claim.seeds),
    interval(claim.images),
    f'{claim.p:.2g}',
    claim.verdict,
  ]


def interval(ends: tuple[float, float]) -> str:
  """Returns an interval such as '-0.8 to +1.5'."""
  return f'{ends[0]:+.1f} to {ends[1]:+.1f}'
