"""Label files that show classes in gray levels, which are no ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uda_jax import labels as labels_lib

# Of 8 bits and of 16 bits.
_WHITE = (labels_lib.IGNORE_LABEL, (1 << 16) - 1)
# A mask with soft edges: most pixels have one of two values, the others many.
_SOFT_VALUES, _SOFT_SHARE = 16, 0.8


def is_mask(counts: Mapping[Any, int]) -> bool:
  """Returns whether label files hold 0 and 255 alone.

  Args:
    counts: id -> pixels.
  """
  return set(counts) == {0, labels_lib.IGNORE_LABEL}


def is_soft(counts: Mapping[Any, int]) -> bool:
  """Returns whether values between the two most frequent are soft edges.

  Args:
    counts: id -> pixels, most frequent first.
  """
  if len(counts) < _SOFT_VALUES:
    return False
  first, second = list(counts)[:2]
  share = (counts[first] + counts[second]) / sum(counts.values())
  return {first, second} == {0, labels_lib.IGNORE_LABEL} and share > _SOFT_SHARE


def are_levels(counts: Mapping[Any, int]) -> bool:
  """Returns whether three ids or more are as far apart as possible.

  Programs that save classes to be seen write 0, 127, 255 or 0, 85, 170, 255:
  there, white is a class, and not what is ignored.

  Args:
    counts: id -> pixels.
  """
  values, last = sorted(counts), len(counts) - 1
  if last < 2 or values[-1] not in _WHITE:
    return False
  exact = [values[-1] * i / last for i in range(len(values))]
  return all(abs(x - value) < 1 for x, value in zip(exact, values))
