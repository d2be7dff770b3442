"""Arrays to pictures: colored label maps, overlays, heat maps.

NumPy, and Pillow where a file is written. `galleries.py` sets them on pages.
"""

from __future__ import annotations

from collections.abc import Sequence
import io
import os

import numpy as np

from uda_jax import files

Palette = Sequence[tuple[int, int, int]]


def colorize(label: np.ndarray, palette: Palette) -> np.ndarray:
  """Colors a label map.

  Args:
    label: [...] integers; ignored and unknown classes become black.
    palette: one RGB triple per class.

  Returns:
    [..., 3] uint8.
  """
  label = np.asarray(label)
  known = (label >= 0) & (label < len(palette))
  colors = np.array([*palette, (0, 0, 0)], np.uint8)
  return colors[np.where(known, label, len(palette))]


def picture(array: np.ndarray, palette: Palette) -> np.ndarray:
  """Converts an image, label map or weight map to RGB pixels.

  Args:
    array: [..., H, W, 3] pixels (uint8, or float in 0..255), or [..., H, W]: a
      label map (integers) or a weight map (float in 0..1 or bool; gray, NaN
      black).
    palette: one RGB triple per class.

  Returns:
    [..., H, W, 3] uint8.
  """
  array = np.asarray(array)
  if array.dtype == np.uint8 and array.shape[-1] == 3:
    return array
  if np.issubdtype(array.dtype, np.integer):
    return colorize(array, palette)
  pixels = np.nan_to_num(array.astype(np.float32))
  if array.shape[-1] != 3:
    pixels = np.repeat(255 * pixels[..., None], 3, axis=-1)
  return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def rgb(image: np.ndarray) -> np.ndarray:
  """Shows an image of any number of channels in color.

  Args:
    image: [..., N], uint8 or float in 0..255.

  Returns:
    [..., 3]: the image itself if N = 3, the first three channels of more, the
    first as gray of one or two.
  """
  if image.shape[-1] >= 3:
    return image[..., :3]
  return np.repeat(image[..., :1], 3, -1)


def heat(value: np.ndarray, *, limit: float = 0.0) -> np.ndarray:
  """Colors signed values: red above zero, blue below, white at zero.

  Args:
    value: [...] float, finite.
    limit: absolute value that gets the full color; 0: the largest one.

  Returns:
    [..., 3] uint8.
  """
  value = np.asarray(value, np.float32)
  share = np.clip(value / (limit or max(np.abs(value).max(), 1e-30)), -1, 1)
  full = np.where(share[..., None] > 0, (178, 24, 43), (33, 102, 172))
  strength = np.abs(share)[..., None]
  return np.rint(255 + strength * (full - 255)).astype(np.uint8)


def overlay(
  image: np.ndarray, label: np.ndarray, palette: Palette
) -> np.ndarray:
  """Blends an image with the colors of a label map, half and half.

  Args:
    image: [H, W, 3] uint8.
    label: [h, w] integers; ignored pixels show the image alone.
    palette: one RGB triple per class.

  Returns:
    [h, w, 3] uint8; an image of another size is resized to the label map's.
  """
  from PIL import Image

  label = np.asarray(label)
  if image.shape[:2] != label.shape:
    size = label.shape[::-1]
    image = np.asarray(Image.fromarray(image).resize(size))
  known = (label >= 0) & (label < len(palette))
  blended = (image.astype(np.uint16) + colorize(label, palette)) // 2
  return np.where(known[..., None], blended, image).astype(np.uint8)


def write_png(path: os.PathLike | str, pixels: np.ndarray) -> None:
  """Writes [H, W, 3] or [H, W] uint8 pixels as a PNG, whole or not at all."""
  from PIL import Image

  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, 'PNG')
  files.write_atomically(path, buffer.getvalue())
