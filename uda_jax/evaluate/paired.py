"""Tests of whether one method is better than another, over seeds and images.

Both were scored on the same images, with the same seeds. The difference of
their mean IoU varies with the seed of the training and with the images that
happen to be in the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from uda_jax.evaluate import metrics

# Resamples whose sums are in memory at once.
_CHUNK = 1000


class Difference(NamedTuple):
  """A difference of mean IoU, first minus second, in -1..1.

  Attributes:
    mean: over the seeds, on the whole split.
    by_seed: the difference of each seed.
    low: lower end of the interval.
    high: upper end of the interval.
    p: of the two-sided test that there is no difference, in (0, 1].
  """

  mean: float
  by_seed: tuple[float, ...]
  low: float
  high: float
  p: float


def bootstrap(
  first: np.ndarray,
  second: np.ndarray,
  *,
  classes: Sequence[int] | None = None,
  resamples: int = 10_000,
  level: float = 0.95,
  seed: int = 0,
) -> Difference:
  """Compares two methods by resampling seeds and images with replacement.

  Mean IoU is not a mean over images: it is made of counts that are summed over
  the split. Each resample therefore draws images, sums their counts, and makes
  the scores anew; it draws the same images for both methods and for all seeds,
  and the same seeds for both methods. Images and seeds are crossed, so both are
  drawn independently of each other: the pigeonhole bootstrap (Owen 2007, Annals
  of Applied Statistics 1(2), 386-411). The interval has the percentiles of the
  differences (Efron and Tibshirani 1993, An Introduction to the Bootstrap,
  chapter 13); p is twice the smaller share of resamples on one side of 0,
  counted with the split itself so that it is never 0. For scores of a whole
  test set see Koehn 2004 (ACL W04-3250).

  A resample in which no class has a pixel, as it lacks the images of a rare
  one, is left out. With few seeds the interval is too narrow, since three seeds
  stand for all that could have been drawn: their spread enters with a factor of
  (S - 1) / S in the variance. With one seed it holds for this one trained pair
  of networks, with one image for this image; with one of both there is nothing
  to draw from.

  Args:
    first: [S, N, C, 2] int >= 0: intersection and union in pixels, of S seeds,
      N images and C classes, see `by_image.unpacked`.
    second: likewise, of the same seeds, images and classes.
    classes: of the mean; None: all. A class without pixels in truth and
      prediction of a resample is left out of the mean, as in
      `metrics.mean_iou`.
    resamples: their number, 1 or more.
    level: of the interval, in (0, 1).
    seed: of the draws; the same seed gives the same result.

  Returns:
    The difference. All of it is NaN if a seed has no class with a pixel; `low`,
    `high` and `p` are for one seed with one image.

  Raises:
    ValueError: the shapes differ, there is no seed or no image, or `resamples`
      or `level` is out of range.
  """
  _check_level(level)
  if resamples < 1:
    raise ValueError(f'resamples: expected 1 or more, got {resamples}')
  first, second = np.asarray(first), np.asarray(second)
  if first.shape != second.shape or first.ndim != 4 or not first.size:
    raise ValueError(
      'bootstrap: expected two arrays [seeds, images, classes, 2] of one '
      f'shape, got {first.shape} and {second.shape}'
    )
  both = np.stack([first, second]).astype(np.float64)
  whole = _scores(both.sum(2), classes)
  by_seed = whole[0] - whole[1]
  if first.shape[:2] == (1, 1) or np.isnan(by_seed).any():
    return Difference(
      float(by_seed.mean()), tuple(map(float, by_seed)), *[float('nan')] * 3
    )
  random = np.random.Generator(np.random.PCG64(seed))
  differences = _resampled(both, classes, resamples, random)
  tail = (1 - level) / 2
  low, high = np.quantile(differences, (tail, 1 - tail))
  side = min((differences <= 0).sum(), (differences >= 0).sum())
  return Difference(
    float(by_seed.mean()),
    tuple(map(float, by_seed)),
    float(low),
    float(high),
    float(min(1.0, 2 * (side + 1) / (differences.size + 1))),
  )


def _resampled(
  both: np.ndarray,
  classes: Sequence[int] | None,
  resamples: int,
  random: np.random.Generator,
) -> np.ndarray:
  """Returns the difference in each resample that has a pixel of a class.

  Args:
    both: [2, S, N, C, 2], counts of the two methods, see `bootstrap`.
    classes: see `bootstrap`.
    resamples: their number.
    random: stream of the draws.
  """
  _, seeds, images, *rest = both.shape
  # [images, ...]: one product sums the counts of many resamples, exactly.
  counts = np.moveaxis(both, 2, 0).reshape(images, -1)
  found = []
  for begin in range(0, resamples, _CHUNK):
    count = min(_CHUNK, resamples - begin)
    times = random.multinomial(images, np.full(images, 1 / images), count)
    sums = (times @ counts).reshape(count, 2, seeds, *rest)
    share = random.multinomial(seeds, np.full(seeds, 1 / seeds), count) / seeds
    scores = _scores(sums, classes)
    # A seed that is not drawn counts nothing, a NaN of it neither.
    of_seed = np.where(share > 0, scores[:, 0] - scores[:, 1], 0)
    found.append((of_seed * share).sum(-1))
  differences = np.concatenate(found)
  return differences[~np.isnan(differences)]


def _check_level(level: float) -> None:
  if not 0 < level < 1:
    raise ValueError(
      f'level: expected a number between 0 and 1, such as 0.95, got {level}'
    )


def _scores(sums: np.ndarray, classes: Sequence[int] | None) -> np.ndarray:
  """Returns the mean IoU [...] of counts [..., C, 2]."""
  iou = metrics.ratio(sums[..., 0], sums[..., 1])
  if classes is not None:
    iou = iou[..., list(classes)]
  known = ~np.isnan(iou)
  total = np.where(known, iou, 0).sum(-1)
  return metrics.ratio(total, known.sum(-1))


def over_seeds(
  differences: Sequence[float], level: float = 0.95
) -> tuple[float, float, float]:
  """Returns interval and p of a mean difference, by Student's paired t-test.

  Seeds alone: the split is taken as it is. The differences of single seeds are
  supposed to be normal, which three or five cannot show.

  Args:
    differences: first minus second, one a seed.
    level: of the interval, in (0, 1).

  Returns:
    (low, high, p), p two-sided; NaN with fewer than two seeds. Equal
    differences have no spread: p is 0, or 1 if they are 0.

  Raises:
    ValueError: `level` is out of range.

  Example:
    >>> low, high, p = over_seeds([0.02, 0.03, 0.04])
    >>> print(f'{low:.3f} {high:.3f} {p:.3f}')
    0.005 0.055 0.035
  """
  from scipy import stats

  _check_level(level)
  x = np.asarray(differences, np.float64)
  if x.size < 2:
    return float('nan'), float('nan'), float('nan')
  error = x.std(ddof=1) / np.sqrt(x.size)
  if error == 0:  # equal differences: the t statistic has no spread
    return float(x[0]), float(x[0]), 1.0 if x[0] == 0 else 0.0
  half = stats.t.ppf((1 + level) / 2, x.size - 1) * error
  p = 2 * stats.t.sf(abs(x.mean()) / error, x.size - 1)
  return float(x.mean() - half), float(x.mean() + half), float(p)
