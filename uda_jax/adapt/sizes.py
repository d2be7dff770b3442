"""Sizes of images, and the size at which a network sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
import concurrent.futures
import pathlib
from typing import NamedTuple

from PIL import Image

from uda_jax import cores
from uda_jax.data import decode
from uda_jax.data import image_size

Size = tuple[int, int]

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
# Sides of a crop are multiples of this, or else the whole image.
_MULTIPLE = 16
_LEAST_CROP = 32
# The smallest factor of the random scale (`config.data.scale_range`).
SCALE_RANGE = (0.9, 1.4)
# The network is compiled for each size at which it is used.
_MOST_SIZES = 3
# Sides may change by this factor, where images are brought to one size.
_MOST_SQUASHED = 1.15


class Chosen(NamedTuple):
  """The sizes of a run.

  Attributes:
    image: (height, width) that images are resized to, or to fit into.
    keep_ratio: whether they keep their ratio.
    crop: (height, width) of training crops.
    export: (height, width) at which the network sees most target images.
    why_image: reason, for people.
    why_crop: likewise.
  """

  image: Size
  keep_ratio: bool
  crop: Size
  export: Size
  why_image: str
  why_crop: str


def read(paths: Iterable[pathlib.Path]) -> Counter:
  """Returns (height, width), upright -> number of image files.

  Reads the beginnings of the files alone; ValueError for one that is no image.
  """
  with concurrent.futures.ThreadPoolExecutor(cores.count()) as pool:
    return Counter(pool.map(_size, paths))


def _size(path: pathlib.Path) -> Size:
  try:
    with Image.open(path) as image:
      width, height = image.size
      # Of a TIFF file, Pillow tells the upright size.
      turned = (
        image.format != 'TIFF' and image.getexif().get(_ORIENTATION) in _TURNED
      )
  # The library's reader accepts more, or says what is wrong.
  except Exception:
    shown = decode.open_picture(path).image
    return shown.height, shown.width
  return (width, height) if turned else (height, width)


def text(sizes: Counter) -> str:
  """Describes sizes, the most frequent first."""
  shown = [f'{n} of {h} x {w}' for (h, w), n in sizes.most_common(3)]
  more = len(sizes) - len(shown)
  return ', '.join(shown) + (f', {more} further sizes' if more > 0 else '')


def choose(
  source: Counter,
  target: Counter,
  *,
  pixels: int,
  image: Size | None = None,
  crop: Size | None = None,
) -> Chosen:
  """Chooses the sizes of a run.

  Args:
    source: sizes of the source's images, see `read`.
    target: sizes of the target's images.
    pixels: height x width that a resized image may have.
    image: what --size asks for.
    crop: what --crop asks for.
  """
  height, width = target.most_common(1)[0][0]
  why = '--size'
  if image is None:
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    image = round(scale * height), round(scale * width)
    why = f'most target images are {height} x {width}'
    why += f'; {pixels:,} pixels at most' if scale < 1 else ', none is enlarged'
  keep, why_ratio = _keep_ratio({*source, *target}, image)
  why += why_ratio
  rule = image_size.Rule(image, keep_ratio=keep)
  smallest = [
    min(side) for side in zip(_common(source, rule), _common(target, rule))
  ]
  why_crop = '--crop'
  if crop is None:
    rows, columns = map(_crop_side, smallest)
    crop = rows, columns
    why_crop = (
      f'fits into most images, which the network sees at {smallest[0]} x '
      f'{smallest[1]}, times {SCALE_RANGE[0]:g}'
    )
  return Chosen(
    image, keep, crop, rule.of(target.most_common(1)[0][0]), why, why_crop
  )


def _keep_ratio(found: set[Size], image: Size) -> tuple[bool, str]:
  """Returns whether ratios are kept, and why, '' where it is no question."""
  fitted = image_size.Rule(image, keep_ratio=True)
  seen = {fitted.of(size) for size in found}
  if len(seen) <= _MOST_SIZES:
    return True, ''
  # How much wider or higher than the image size some are.
  factors = [h / w * image[1] / image[0] for h, w in found]
  squashed = max(max(x, 1 / x) for x in factors)
  if squashed > _MOST_SQUASHED:
    return True, (
      f'; images of {len(seen)} sizes keep their ratio, and the network is '
      'compiled for each'
    )
  return False, (
    f'; ratios differ by {squashed - 1:.0%} at most and are not kept: the '
    'network is compiled for one size'
  )


def _common(sizes: Counter, rule: image_size.Rule) -> Sequence[int]:
  """Returns the median height and width at which images are seen."""
  seen = [rule.of(size) for size, n in sizes.items() for _ in range(n)]
  return [sorted(side)[len(seen) // 2] for side in zip(*seen)]


def _crop_side(side: int) -> int:
  inside = int(side * SCALE_RANGE[0])
  return max(_LEAST_CROP, inside // _MULTIPLE * _MULTIPLE)
