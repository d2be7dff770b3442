"""Resizing of whole images on the host, for networks that are being used.

Scoring, LSE's ranking and prediction resize by `by_rule`. Training resizes in
TensorFlow (`cutting.cut_image`): the same bits, but for 'bicubic' within
two gray levels of Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
import functools

import numpy as np
from PIL import Image

from uda_jax.data import image_size


def by_rule(pixels: np.ndarray, rule: image_size.Rule) -> np.ndarray:
  """Resizes an image as a rule says.

  Args:
    pixels: [H, W, N] uint8.
    rule: its size, and how to resize, as in `transforms.Spec`.

  Returns:
    [h, w, N] uint8; the image itself if it has its size already.
  """
  size = rule.of(pixels.shape[:2])
  if size == pixels.shape[:2]:
    return pixels
  return _RESIZE[rule.resize](pixels, size)


def _pillow(
  pixels: np.ndarray, size: image_size.Size, kernel: Image.Resampling
) -> np.ndarray:
  """Antialiased; PixMatch, EHTDI and LSE read their images as bicubic."""
  # First the columns, as all versions of Pillow up to 12 do it; version 13
  # chooses an order by the sizes, which changes gray levels.
  # Channel by channel gives the same values as all at once.
  own = [pixels] if pixels.shape[-1] == 3 else np.moveaxis(pixels, -1, 0)
  images = [Image.fromarray(x) for x in own]
  for height in (len(pixels), size[0]):
    shape = (size[1], height)
    images = [x.resize(shape, kernel) for x in images]
  if pixels.shape[-1] == 3:
    return np.asarray(images[0])
  return np.stack([np.asarray(x) for x in images], -1)


def pillow_bilinear(pixels: np.ndarray, size: image_size.Size) -> np.ndarray:
  """Resizes an image, antialiased, as VFM-UDA reads its images.

  Args:
    pixels: [H, W, N] uint8.
    size: (height, width) of the result.

  Returns:
    [height, width, N] uint8.
  """
  height, width = map(int, size)
  return _pillow(pixels, (height, width), Image.Resampling.BILINEAR)


def _bilinear(pixels: np.ndarray, size: image_size.Size) -> np.ndarray:
  """Without antialiasing, half-pixel centers; columns first, in float32.

  The order and the precision of the arithmetic are TensorFlow's.
  """
  left, right, across = _neighbors(pixels.shape[1], size[1])
  top, bottom, down = _neighbors(pixels.shape[0], size[0])
  wide = _mix(
    pixels[:, left].astype(np.float32),
    pixels[:, right].astype(np.float32),
    across,
  )
  mixed = _mix(wide[top], wide[bottom], down[:, None])
  return (mixed + np.float32(0.5)).astype(np.uint8)


def _neighbors(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns both neighbors of each new sample, and the second one's weight."""
  step = np.float32(old) / np.float32(new)
  place = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * step
  place -= np.float32(0.5)
  below = np.floor(place)
  first = np.maximum(below, 0).astype(int)
  second = np.minimum(np.ceil(place), old - 1).astype(int)
  return first, second, (place - below)[:, None]


def _mix(
  first: np.ndarray, second: np.ndarray, weight: np.ndarray
) -> np.ndarray:
  return first + (second - first) * weight


_RESIZE: dict[str, Callable[[np.ndarray, image_size.Size], np.ndarray]] = {
  'bilinear': _bilinear,
  'bicubic': functools.partial(_pillow, kernel=Image.Resampling.BICUBIC),
  'pillow_bilinear': pillow_bilinear,
}
