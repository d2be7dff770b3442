"""The choice of target images and entropy limits for a round of LSE.

LSE (arXiv 2007.14449) ranks the images per class by confidence, takes the first
fraction of every list, and sets the entropy limit of the class to that of the
first image left out. Plain NumPy: the tables are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Choice(NamedTuple):
  """The images and entropy limits of a round.

  Attributes:
    images: numbers of the chosen images, by class, then by confidence; each
      once.
    limits: [C] float64, pixels of lower class-wise entropy are trusted;
      infinity trusts every pixel.
    counts: [C] int, images taken per class (before removing duplicates).
    limit_images: [C] int, the image that each limit comes from, -1 without one.
  """

  images: tuple[int, ...]
  limits: np.ndarray
  counts: np.ndarray
  limit_images: np.ndarray


def portions(start: float, step: float, maximum: float) -> tuple[float, ...]:
  """Returns the fraction of images that each round takes.

  Summed in double precision, as in the released code: from 0.1 in steps of 0.05
  to 0.4 there are seven rounds, because the sum stays just below 0.4.

  Args:
    start: fraction of the first round, in (0, 1]; there are at most
      int(1 / start) rounds.
    step: added after every round.
    maximum: the largest fraction; the run ends before a larger one.
  """
  if not 0 < start <= 1:
    raise ValueError(
      f'config.rounds.p_start: expected a fraction in (0, 1], got {start}'
    )
  shares = [start]
  while len(shares) < int(1 / start) and shares[-1] + step <= maximum:
    shares.append(shares[-1] + step)
  return tuple(shares)


def count(images: int, portion: float, divisor: int) -> int:
  """Returns the number of images taken per class, rounded down."""
  return int(images * (portion / divisor))


def order(confidence: np.ndarray, names: Sequence[str]) -> list[int]:
  """Ranks images: descending confidence, ties by descending name.

  Args:
    confidence: [N] float, NaN for images that are not ranked.
    names: N names.

  Returns:
    The numbers of the ranked images, the best first.
  """
  ranked = [i for i in range(len(names)) if not np.isnan(confidence[i])]
  return sorted(ranked, key=lambda i: (confidence[i], names[i]), reverse=True)


def choose(
  confidence: np.ndarray,
  entropy: np.ndarray,
  names: Sequence[str],
  limits: np.ndarray,
  *,
  portion: float,
  divisor: int,
  skip_classes: Sequence[int] = (),
) -> Choice:
  """Chooses images and sets limits, class by class.

  Args:
    confidence: [N, C] float, mean confidence of the pixels of a class; NaN
      where an image has none.
    entropy: [N, C] float, mean stretched entropy of these pixels; NaN where it
      is not defined, which trusts every pixel (as the released code does).
    names: N names, which break ties.
    limits: [C] of the round before; a class that is predicted nowhere or
      skipped keeps its limit (the released code fails on the former).
    portion: the fraction p of this round.
    divisor: a class takes the fraction p / divisor of its list; 19 in the
      released code.
    skip_classes: classes for which no image is chosen.
  """
  if not 0 < portion < divisor:
    raise ValueError(
      'config.rounds.divisor: expected more than the portion '
      f'{portion}, got {divisor}'
    )
  num_classes = confidence.shape[1]
  limits = np.array(limits, np.float64)
  counts = np.zeros(num_classes, int)
  limit_images = np.full(num_classes, -1)
  chosen = []
  for c in range(num_classes):
    ranked = order(confidence[:, c], names)
    if c in skip_classes or not ranked:
      continue
    counts[c] = count(len(ranked), portion, divisor)
    chosen += ranked[: counts[c]]
    limit_images[c] = ranked[counts[c]]
    limit = entropy[limit_images[c], c]
    limits[c] = np.inf if np.isnan(limit) else limit
  return Choice(tuple(dict.fromkeys(chosen)), limits, counts, limit_images)
