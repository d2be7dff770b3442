"""Which target images a round of LSE learns from, and how far it trusts them.

LSE (arXiv 2007.14449) ranks the images once a class by confidence, takes the
top share of every list, and sets the entropy limit of the class by the first
image that it leaves out. Plain numpy: the tables are small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Choice(NamedTuple):
  """What a round trains on.

  Attributes:
    images: numbers of the chosen images, by class, then by confidence; each
      once.
    limits: [C] float64, below which class-wise entropy is trusted; infinity
      trusts every pixel.
    counts: [C] int, images that each class took (before duplicates went).
    limit_images: [C] int, which image each limit comes from, -1 = none.
  """

  images: tuple[int, ...]
  limits: np.ndarray
  counts: np.ndarray
  limit_images: np.ndarray


def portions(start: float, step: float, maximum: float) -> tuple[float, ...]:
  """Returns the share of images that each round takes.

  Summed in double precision, as the released code does: from 0.1 in steps of
  0.05 to 0.4 there are seven rounds, because the sum stays just below 0.4.

  Args:
    start: of the first round, in (0, 1]; there are at most int(1 / start).
    step: added after every round.
    maximum: a larger share ends the run.
  """
  if not 0 < start <= 1:
    raise ValueError(
      f'config.rounds.p_start: expected a share in (0, 1], got {start}'
    )
  shares = [start]
  while len(shares) < int(1 / start) and shares[-1] + step <= maximum:
    shares.append(shares[-1] + step)
  return tuple(shares)


def count(images: int, portion: float, divisor: int) -> int:
  """Returns how many of a class's images are taken, rounded down."""
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
    limits: [C] of the round before; a class that is predicted nowhere, or is
      skipped, keeps its own (the released code fails on the former).
    portion: the share p of this round.
    divisor: a class takes a share p / divisor of its list; the released code
      always has 19.
    skip_classes: classes that choose no image.
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
