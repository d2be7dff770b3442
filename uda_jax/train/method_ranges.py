"""Permitted values of the fields of a method and of its additions, by name."""

from __future__ import annotations

import math
from typing import Any

import ml_collections

# Texts that are compared with one value alone: another would run as the rest.
CHOICES = {
  'pseudo_weight': ('batch', 'image', 'pixel'),
  'mix_classes_from': ('batch', 'image'),
  'ce_average': ('all', 'valid'),
  'average': ('all', 'valid'),
  'focal_of': ('mean', 'pixel'),
  'teacher_bn': ('batch', 'ema'),
  'bn': ('batch', 'ema'),
  'pixel_order': ('aligned', 'released'),
}
# Whole numbers, and the least that each may be.
WHOLE = {
  'adapt_from': 0,
  'bank_steps': 1,
  'block_size': 1,
  'channels': 1,
  'contrast_stride': 0,
  'detail_divisible': 1,
  'entropy_start': 0,
  'mask_block': 1,
  'max_samples': 1,
  'max_views': 1,
  'samples': 1,
  'start': 0,
}
_POSITIVE = math.ulp(0.0)
# Numbers, and (least, most); weights, which start with 'weight', are 0 or more.
NUMBERS = {
  'blur': (0, 1),
  'class_temperature': (_POSITIVE, math.inf),
  'confidence': (0, 1),
  'distance_min_fraction': (0, 1),
  'fourier_fraction': (0, 1),
  'gamma': (0, math.inf),
  'mask_ratio': (0, 1),
  'pixel_temperature': (_POSITIVE, math.inf),
  'ratio': (0, 1),
  'temperature': (_POSITIVE, math.inf),
  'threshold': (0, 1),
}
# Pairs (lowest, highest), and (least, most) of each: crops of images.
PAIRS = {
  'crop_area': (_POSITIVE, 1),
  'crop_aspect': (_POSITIVE, math.inf),
}
# Tuples of whole numbers: their number (None: any) and the least of each.
TUPLES = {
  'crop_size': (2, 1),
  'detail_crop': (2, 1),
  'distance_classes': (None, 0),
  'grid': (2, 1),
  'paste_classes': (None, 0),
}


def number_range(name: str) -> tuple[float, float] | None:
  """Returns the least and the most of a field, None without a rule."""
  if name == 'weight' or name.startswith('weight_'):
    return 0, math.inf
  return NUMBERS.get(name)


def check_tuple(field: str, value: Any, count: int | None, least: int) -> None:
  """Raises ValueError unless a value is a tuple of whole numbers."""
  good = isinstance(value, tuple | list) and all(
    type(n) is int and n >= least for n in value
  )
  if not good or (count is not None and len(value) != count):
    how_many = '' if count is None else f'{count} '
    raise ValueError(
      f'config.{field}: expected {how_many}whole numbers, each {least} or '
      f'more, got {value!r}'
    )


def blocks(
  block: ml_collections.ConfigDict, path: str = 'method'
) -> list[tuple[str, ml_collections.ConfigDict]]:
  """Returns the method's block and those of its additions, with their paths."""
  below = [
    inner
    for name, value in block.items()
    if isinstance(value, ml_collections.ConfigDict)
    for inner in blocks(value, f'{path}.{name}')
  ]
  return [(path, block), *below]
