"""From raw ids or colors of label files to train ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import os
from typing import Any

import numpy as np

from uda_jax import labels as labels_lib

_IGNORE = labels_lib.IGNORE_LABEL
# Ids are counted in a table up to here, above by sorting.
_LARGEST_TABLE = 1 << 16


class UnknownValues(ValueError):
  """Raised for a label file with ids or colors that belong to no class.

  Attributes:
    path: the file.
    counts: id, or (red, green, blue), to number of pixels.
  """

  def __init__(self, path: os.PathLike, counts: Mapping[Any, int]):
    """Sets the message, which lists the unknown values."""
    self.path, self.counts = path, dict(counts)
    super().__init__(f'{path}: got {listed(self.counts)}')


def listed(counts: Mapping[Any, int], most: int = 8) -> str:
  """Lists values with their numbers of pixels, such as '7 in 4 pixels'."""
  shown = [f'{value} in {n} pixels' for value, n in list(counts.items())[:most]]
  more = f' and {len(counts) - most} more' if len(counts) > most else ''
  return ', '.join(shown) + more


def known_ids(record: Any) -> dict[int, int]:
  """Returns raw id -> train id (255 = ignore) of a record."""
  known = dict.fromkeys(record.ignore_ids, _IGNORE)
  classes = len(record.class_names)
  known.update(record.label_map or ((i, i) for i in range(classes)))
  return known


def count_ids(raw: np.ndarray) -> dict[int, int]:
  """Returns id -> number of pixels, of an integer array [H, W]."""
  if raw.size and 0 <= raw.min() and raw.max() < _LARGEST_TABLE:
    counts = np.bincount(raw.ravel())
    values = np.flatnonzero(counts)
    counts = counts[values]
  else:
    values, counts = np.unique(raw, return_counts=True)
  return dict(zip(values.tolist(), counts.tolist()))


def train_ids(
  raw: np.ndarray,
  record: Any,
  *,
  path: os.PathLike,
  counts: dict[int, int] | None = None,
) -> np.ndarray:
  """Maps raw class ids to train ids.

  Args:
    raw: [H, W] integers.
    record: a `FolderRecord`; `label_map`, `ignore_ids` and `class_names` count.
    path: the file, for messages.
    counts: `count_ids(raw)` if it is there already.

  Returns:
    [H, W] uint8, 255 = ignore. `UnknownValues` for ids of no class.
  """
  known, counts = known_ids(record), counts or count_ids(raw)
  unknown = {value: n for value, n in counts.items() if value not in known}
  if unknown:
    raise UnknownValues(path, unknown)
  # All ids are known now; negative ones count from the table's end.
  lowest, highest = min(counts, default=0), max(counts, default=0)
  table = np.full(highest - min(lowest, 0) + 1, _IGNORE, np.uint8)
  for value in counts:
    table[value] = known[value]
  return table[raw]


def color_ids(
  pixels: np.ndarray, record: Any, *, path: os.PathLike
) -> np.ndarray:
  """Maps colors to train ids.

  Args:
    pixels: [H, W, 3] uint8.
    record: a `FolderRecord`; `label_colors` count.
    path: the file, for messages.

  Returns:
    [H, W] uint8, 255 = ignore. `UnknownValues` for colors of no class.
  """
  packed = _packed(pixels)
  label = np.full(packed.shape, _IGNORE, np.uint8)
  unknown = np.ones(packed.shape, bool)
  for (red, green, blue), train_id in record.label_colors:
    here = packed == (red << 16) + (green << 8) + blue
    label[here], unknown[here] = train_id, False
  if unknown.any():
    raise UnknownValues(path, _colors(packed[unknown]))
  return label


def count_colors(pixels: np.ndarray) -> dict[tuple[int, int, int], int]:
  """Returns color -> number of pixels of [H, W, 3] uint8, most first."""
  return _colors(_packed(pixels))


def _packed(pixels: np.ndarray) -> np.ndarray:
  """Returns colors as single numbers: [H, W] int32."""
  return pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _colors(packed: np.ndarray) -> dict[tuple[int, int, int], int]:
  """Returns color -> number of pixels, the most frequent first."""
  values, counts = np.unique(packed, return_counts=True)
  order = np.argsort(-counts, kind='stable')
  return {
    (int(v) >> 16, int(v) >> 8 & 255, int(v) & 255): int(n)
    for v, n in zip(values[order], counts[order])
  }


def used_colors(
  ids: Iterable[int], palette: np.ndarray | None
) -> dict[int, tuple[int, ...]]:
  """Returns id -> color in a file's palette, of the ids that occur."""
  if palette is None:
    return {}
  return {i: tuple(palette[i].tolist()) for i in ids if i < len(palette)}


def swapped(
  first: Mapping[int, tuple[int, ...]], second: Mapping[int, tuple[int, ...]]
) -> tuple[tuple[int, ...], int, int] | None:
  """Returns a color and its ids in two palettes that swap classes, else None.

  Palettes of other colors say nothing on the ids, even if they share a few, as
  those of Pascal VOC and CamVid do, or black, which often shows no class.

  Args:
    first: id -> color, see `used_colors`.
    second: likewise, of files with the same classes.
  """
  known = set(first.values())
  both = sorted(first.keys() & second.keys())
  moved = [i for i in both if second[i] in known - {first[i]}]
  strange = [i for i in both if second[i] not in known]
  if len(moved) <= len(strange):
    return None
  color = second[moved[0]]
  return color, next(i for i, c in first.items() if c == color), moved[0]
