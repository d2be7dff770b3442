"""Classes of the street benchmarks: names, colors, tables of raw ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Pixels with this label are ignored in losses and metrics.
IGNORE_LABEL = 255

# The train id is the index in this tuple.
CITYSCAPES_CLASSES = (
  'road',
  'sidewalk',
  'building',
  'wall',
  'fence',
  'pole',
  'traffic light',
  'traffic sign',
  'vegetation',
  'terrain',
  'sky',
  'person',
  'rider',
  'car',
  'truck',
  'bus',
  'train',
  'motorcycle',
  'bicycle',
)

CITYSCAPES_PALETTE = (
  (128, 64, 128),
  (244, 35, 232),
  (70, 70, 70),
  (102, 102, 156),
  (190, 153, 153),
  (153, 153, 153),
  (250, 170, 30),
  (220, 220, 0),
  (107, 142, 35),
  (152, 251, 152),
  (70, 130, 180),
  (220, 20, 60),
  (255, 0, 0),
  (0, 0, 142),
  (0, 0, 70),
  (0, 60, 100),
  (0, 80, 100),
  (0, 0, 230),
  (119, 11, 32),
)

# Colors that `default_palette` stays away from: the ignored label, and common
# colors of photographs.
_TAKEN = ((0, 0, 0), (70, 70, 70), (130, 130, 130), (190, 190, 190), (255,) * 3)


def default_palette(num_classes: int) -> tuple[tuple[int, int, int], ...]:
  """Returns distinct saturated colors, without gray and black.

  Each color is the farthest from all earlier ones, and from grays, in CIELAB. A
  smaller palette is the start of a larger one.

  Args:
    num_classes: 1 to 254.
  """
  steps = np.linspace(0, 255, 10).round()
  colors = np.stack(np.meshgrid(steps, steps, steps, indexing='ij'), -1)
  colors = colors.reshape(-1, 3)
  lightness, *ab = _lab(colors).T
  colors = colors[(np.hypot(*ab) >= 40) & (lightness >= 30)]
  places = _lab(colors)
  nearest = np.full(len(colors), np.inf)
  for taken in _lab(np.array(_TAKEN, float)):
    nearest = np.minimum(nearest, np.linalg.norm(places - taken, axis=1))
  palette = []
  for _ in range(num_classes):
    chosen = int(np.argmax(nearest))
    red, green, blue = (int(x) for x in colors[chosen])
    palette.append((red, green, blue))
    distance = np.linalg.norm(places - places[chosen], axis=1)
    nearest = np.minimum(nearest, distance)
  return tuple(palette)


def _lab(colors: np.ndarray) -> np.ndarray:
  """Converts sRGB [N, 3] in 0..255 to CIELAB (D65), a perceptual space."""
  x = colors / 255
  linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
  matrix = np.array(
    [
      [0.4124, 0.3576, 0.1805],
      [0.2126, 0.7152, 0.0722],
      [0.0193, 0.1192, 0.9505],
    ]
  )
  xyz = linear @ matrix.T / (0.9505, 1.0, 1.089)
  f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
  return np.stack(
    [
      116 * f[:, 1] - 16,
      500 * (f[:, 0] - f[:, 1]),
      200 * (f[:, 1] - f[:, 2]),
    ],
    axis=1,
  )


# The classes (train ids of the 19) that SYNTHIA has, and those of them that
# older papers report (without wall, fence, pole).
SUBSET_19 = tuple(range(19))
SUBSET_16 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)
SUBSET_13 = (0, 1, 2, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)

# Names and categories of the ids of Cityscapes' label files, by id.
CITYSCAPES_LABELS = (
  ('unlabeled', 'void'),
  ('ego vehicle', 'void'),
  ('rectification border', 'void'),
  ('out of roi', 'void'),
  ('static', 'void'),
  ('dynamic', 'void'),
  ('ground', 'void'),
  ('road', 'flat'),
  ('sidewalk', 'flat'),
  ('parking', 'flat'),
  ('rail track', 'flat'),
  ('building', 'construction'),
  ('wall', 'construction'),
  ('fence', 'construction'),
  ('guard rail', 'construction'),
  ('bridge', 'construction'),
  ('tunnel', 'construction'),
  ('pole', 'object'),
  ('polegroup', 'object'),
  ('traffic light', 'object'),
  ('traffic sign', 'object'),
  ('vegetation', 'nature'),
  ('terrain', 'nature'),
  ('sky', 'sky'),
  ('person', 'human'),
  ('rider', 'human'),
  ('car', 'vehicle'),
  ('truck', 'vehicle'),
  ('bus', 'vehicle'),
  ('caravan', 'vehicle'),
  ('trailer', 'vehicle'),
  ('train', 'vehicle'),
  ('motorcycle', 'vehicle'),
  ('bicycle', 'vehicle'),
)

# Raw id -> train id. GTA5's label images use the ids of Cityscapes.
CITYSCAPES_IDS = {
  7: 0,
  8: 1,
  11: 2,
  12: 3,
  13: 4,
  17: 5,
  19: 6,
  20: 7,
  21: 8,
  22: 9,
  23: 10,
  24: 11,
  25: 12,
  26: 13,
  27: 14,
  28: 15,
  31: 16,
  32: 17,
  33: 18,
}
GTA5_IDS = CITYSCAPES_IDS
SYNTHIA_IDS = {
  1: 10,
  2: 2,
  3: 0,
  4: 1,
  5: 4,
  6: 8,
  7: 5,
  8: 13,
  9: 7,
  10: 11,
  11: 18,
  12: 17,
  15: 6,
  16: 9,
  17: 12,
  18: 14,
  19: 15,
  20: 16,
  21: 3,
}

# WildDash 2: the ids of Cityscapes and further ones, of which the policy of
# its authors (github.com/ozendelait/wilddash_scripts,
# wd2_unified_label_policy.json) makes 34, pickup, a truck; 35, van, a car; 38,
# road marking, road.
WILDDASH_IDS = CITYSCAPES_IDS | {34: 14, 35: 13, 38: 0}
# Mapillary Vistas 1.2, whose 66 ids are the order of its config_v1.2.json. The
# data set has no official table to Cityscapes' classes; this is the one of the
# benchmark of foundation models of arXiv 2404.12172
# (github.com/tue-mps/benchmark-vfm-ss, datasets/mappings.py).
MAPILLARY_IDS = {
  13: 0,  # road
  24: 0,  # lane marking
  41: 0,  # manhole
  2: 1,  # curb
  15: 1,  # sidewalk
  17: 2,  # building
  6: 3,  # wall
  3: 4,  # fence
  45: 5,  # pole
  47: 5,  # utility pole
  48: 6,  # traffic light
  50: 7,  # traffic sign, front
  30: 8,  # vegetation
  29: 9,  # terrain
  27: 10,  # sky
  19: 11,  # person
  20: 12,  # bicyclist
  21: 12,  # motorcyclist
  22: 12,  # other rider
  55: 13,  # car
  61: 14,  # truck
  54: 15,  # bus
  58: 16,  # on rails
  57: 17,  # motorcycle
  52: 18,  # bicycle
}


def restrict(
  table: Mapping[int, int], classes: tuple[int, ...]
) -> dict[int, int]:
  """Returns a table raw id -> class for a subset of the classes.

  Args:
    table: raw id -> class.
    classes: classes to keep; the new class is the index in this tuple. Raw ids
      of other classes are left out, so they are ignored.

  Returns:
    Raw id -> new class.

  Example:
    >>> restrict({7: 0, 8: 1, 9: 2}, (2, 0))
    {7: 1, 9: 0}
  """
  index = {c: i for i, c in enumerate(classes)}
  return {raw: index[c] for raw, c in table.items() if c in index}


# The 16-class problem renumbers the classes of both domains.
CITYSCAPES_16_IDS = restrict(CITYSCAPES_IDS, SUBSET_16)
SYNTHIA_16_IDS = restrict(SYNTHIA_IDS, SUBSET_16)
