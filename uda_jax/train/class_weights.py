"""Class weights of the cross-entropy, given or computed from the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import Any, NamedTuple

import numpy as np


def median_frequency(class_pixels: np.ndarray) -> np.ndarray:
  """Median frequency balancing (arXiv 1411.4734, section 6.3.2).

  w_c = median(f) / f_c, with f_c the pixels of the class over the labeled
  pixels of the images that show it.

  Args:
    class_pixels: [N, C] integer pixels of each class in each image.

  Returns:
    [C] float64; 1 for a class without a pixel, which the median leaves out.
  """
  pixels = class_pixels.sum(0)
  shown = (class_pixels > 0) * class_pixels.sum(1, keepdims=True)
  there = pixels > 0
  frequency = pixels[there] / shown.sum(0)[there]
  weights = np.ones(len(pixels))
  weights[there] = np.median(frequency) / frequency
  return weights


def inverse_log(class_pixels: np.ndarray) -> np.ndarray:
  """ENet's weights (arXiv 1606.02147, section 4): w_c = 1 / ln(1.02 + p_c).

  Args:
    class_pixels: [N, C] integer pixels of each class in each image.

  Returns:
    [C] float64, about 1.4 to 50; p_c is the fraction of the labeled pixels.
  """
  pixels = class_pixels.sum(0)
  return 1 / np.log(1.02 + pixels / max(pixels.sum(), 1))


# Name in `config.method.class_weights` -> f(class_pixels) -> weights.
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'median_frequency': median_frequency,
  'inverse_log': inverse_log,
}


class Formula(NamedTuple):
  """A formula in `config.method.class_weights`.

  Attributes:
    name: row of `FORMULAS`.
    power: of the weights, 1: as published. Less is milder: 0.25 makes a factor
      of 16 between two classes one of 2.
  """

  name: str
  power: float


def formula(method: Any) -> Formula | None:
  """Returns the formula in `config.method.class_weights`, None for numbers.

  Args:
    method: `config.method`; ('NAME',) is a formula, or ('NAME', POWER).
  """
  match tuple(method.get('class_weights', ())):
    case (str(name),):
      return Formula(name, 1.0)
    case (str(name), int() | float() as power):
      return Formula(name, float(power))
  return None


def resolved(method: Any, class_pixels: np.ndarray) -> Any:
  """Returns `config.method` with numbers for a formula; itself without one.

  Args:
    method: `config.method`, checked.
    class_pixels: [N, C] integer pixels of each class in each source image.
  """
  found = formula(method)
  if found is None:
    return method
  new = method.copy_and_resolve_references()
  weights = FORMULAS[found.name](class_pixels) ** found.power
  new.class_weights = tuple(map(float, weights))
  return new


def check(method: Any, class_names: Sequence[str]) -> None:
  """Raises ValueError, in one line, for weights that do not fit the classes.

  Args:
    method: `config.method`.
    class_names: of `config.data.source`.
  """
  if 'class_weights' not in method:
    return
  weights = method.class_weights
  is_tuple = isinstance(weights, tuple | list)
  found = formula(method) if is_tuple else None
  if is_tuple and not weights:
    return
  if found and found.name in FORMULAS and 0 < found.power <= 1:
    return
  numbers = is_tuple and all(
    isinstance(x, int | float) and math.isfinite(x) and x >= 0 for x in weights
  )
  if numbers and len(weights) == len(class_names) and any(weights):
    return
  names = ' or '.join(f'({name!r},)' for name in FORMULAS)
  raise ValueError(
    f'config.method.class_weights: expected {len(class_names)} numbers, 0 or '
    f'more, for the classes {tuple(class_names)}, {names}, or one of these '
    f"with a power in (0, 1], as ('median_frequency', 0.25), or () for none, "
    f'got {weights!r}'
  )
