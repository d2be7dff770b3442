"""The target images whose labels are learned from: a fraction of them.

Needs no TensorFlow.
"""

from __future__ import annotations

import fractions
import hashlib
from typing import Any, NamedTuple

# The name of this part of a run's data, beside source, target and evaluation.
PART = 'target_labels'


class Part(NamedTuple):
  """A fraction of a data set, chosen at random.

  Attributes:
    fraction: above 0, at most 1.
    seed: of the run.
  """

  fraction: fractions.Fraction
  seed: int

  def rows(self, count: int) -> tuple[int, ...]:
    """Returns which of `count` images belong to it, in ascending order.

    One image at least. With one seed, the images of a smaller fraction are
    among those of a larger one.
    """
    number = max(1, round(count * self.fraction))
    order = sorted(range(count), key=self._place)
    return tuple(sorted(order[:number]))

  def _place(self, row: int) -> bytes:
    text = f'{self.seed}/{PART}/{row}'
    return hashlib.sha256(text.encode()).digest()


def weight(data: Any) -> float:
  """Returns the weight of the labeled images' loss; 0: none are read.

  Args:
    data: the `data` block of a config.
  """
  if not data.get('target_labels', ''):
    return 0.0
  return data['target_labels_weight']


def part(data: Any, seed: int) -> Part | None:
  """Returns which target images are learned from with labels; None for none.

  Args:
    data: the `data` block of a config.
    seed: of the run.

  Raises:
    ValueError: `config.data.target_labels` is no fraction.
  """
  if not weight(data):
    return None
  return Part(_fraction(data['target_labels']), seed)


def _fraction(text: Any) -> fractions.Fraction:
  try:
    value = fractions.Fraction(text) if isinstance(text, str) else None
  except (ValueError, ZeroDivisionError):
    value = None
  if value is None or not 0 < value <= 1:
    raise ValueError(
      "config.data.target_labels: expected a fraction above 0 such as '1/16' "
      f"or '0.1', '1' for all, '' for none, got {text!r}"
    )
  return value
