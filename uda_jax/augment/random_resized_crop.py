"""Random crops of random area and aspect ratio, resized to one size.

Albumentations' `RandomResizedCrop` with OpenCV's resize (PixMatch and EHTDI,
released code). A box is int32 (top, bottom, left, right), bottom and right
excluded, and may be traced; the size of the result is static.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

ATTEMPTS = 10
# OpenCV interpolates bytes with weights of 11 bits.
PLACES = 11


def fallback_size(
  image_size: tuple[int, ...], aspect: tuple[float, float]
) -> tuple[int, ...]:
  """Largest (height, width) whose aspect ratio is in a range.

  Args:
    image_size: (height, width).
    aspect: (lowest, highest) width / height.

  Example:
    >>> fallback_size((200, 10), (0.5, 2.0))
    (20, 10)
  """
  height, width = image_size
  low, high = aspect
  if width / height < low:
    return round(width / low), width
  if width / height > high:
    return height, round(height * high)
  return height, width


def draw_crops(
  key: jax.Array,
  image_size: tuple[int, ...],
  *,
  batch: int,
  area: tuple[float, float],
  aspect: tuple[float, float],
) -> jax.Array:
  """Draws one box per image: the first of ten that fits, else a central one.

  Args:
    key: a JAX key.
    image_size: (height, width).
    batch: B.
    area: (lowest, highest) fraction of the image's area, uniform.
    aspect: (lowest, highest) width / height, log-uniform.

  Returns:
    [B, 4] int32 (top, bottom, left, right).
  """
  uniform = jax.random.uniform(key, (batch, 2 * ATTEMPTS + 2))
  fraction, ratio, where = jnp.split(uniform, (ATTEMPTS, 2 * ATTEMPTS), -1)
  between = lambda u, low, high: low + (high - low) * u
  surface = image_size[0] * image_size[1] * between(fraction, *area)
  ratio = jnp.exp(between(ratio, *np.log(aspect)))
  size = jnp.round(
    jnp.sqrt(jnp.stack([surface / ratio, surface * ratio], -1))
  ).astype(jnp.int32)
  limit = jnp.array(image_size)
  fits = ((size > 0) & (size <= limit)).all(-1)
  first = jnp.argmax(fits, -1)[:, None, None]
  size = jnp.take_along_axis(size, first, 1)[:, 0]
  room = jnp.maximum(limit - size, 0)
  offset = jnp.floor(where * (room + 1)).astype(jnp.int32)
  start = crop_start(jnp.minimum(offset, room))
  central = np.array(fallback_size(image_size, aspect))
  any_fits = fits.any(-1, keepdims=True)
  start = jnp.where(any_fits, start, (np.array(image_size) - central) // 2)
  size = jnp.where(any_fits, size, central)
  return jnp.stack([start, start + size], -1).reshape(batch, 4)


def crop_start(offset: jax.Array) -> jax.Array:
  """First row or column of a crop with a drawn offset: one before the offset.

  The released code converts offsets to a fraction and back, which truncates.

  Args:
    offset: [...] int32 >= 0, rows or columns.

  Returns:
    [...] int32 >= 0.

  Example:
    >>> print(crop_start(jnp.array([0, 1, 5])))
    [0 0 4]
  """
  return jnp.maximum(offset - 1, 0)


def _scales(n: int, out: int) -> np.ndarray:
  """Input pixels an output pixel, [n, 1] float64, for boxes of 1 to n pixels.

  One row for each length that a box can have: OpenCV's rounding needs 64 bits.
  """
  return 1 / (out / np.arange(1, n + 1)[:, None])


def _neighbors(
  start: jax.Array, stop: jax.Array, n: int, out: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Two neighbors of every output pixel and the 11-bit weight of the second."""
  length = stop - start
  table = (np.arange(out) + 0.5) * _scales(n, out) - 0.5
  position = jnp.take(table.astype(np.float32), length - 1, 0)
  low = jnp.floor(position)
  second = jnp.round((position - low) * (1 << PLACES)).astype(jnp.int32)
  # Beyond the border both neighbors are the edge pixel.
  first, last = (
    jnp.clip(low.astype(jnp.int32) + i, 0, length - 1) for i in range(2)
  )
  return start + first, start + last, second


def cut_image(
  pixels: jax.Array, box: jax.Array, size: tuple[int, ...]
) -> jax.Array:
  """Crops an image and resizes the crop bilinearly, without antialiasing.

  Args:
    pixels: [H, W, C] int32 in 0..255.
    box: [4] int32 (top, bottom, left, right), inside the image.
    size: (height, width) of the result.

  Returns:
    [height, width, C] int32 in 0..255, rounded as by OpenCV.

  Example:
    >>> pixels = jnp.array([0, 0, 100, 200]).reshape(1, 4, 1)
    >>> print(cut_image(pixels, jnp.array([0, 1, 2, 4]), (1, 4))[0, :, 0])
    [100 125 175 200]
  """
  one = 1 << PLACES
  top, bottom, left, right = box
  height, width = pixels.shape[:2]
  first, last, second = _neighbors(left, right, width, size[1])
  second = second[:, None]
  rows = (
    jnp.take(pixels, first, 1) * (one - second)
    + jnp.take(pixels, last, 1) * second
  )
  first, last, second = _neighbors(top, bottom, height, size[0])
  second = second[:, None, None]
  # OpenCV drops bits before each product to fit into 16 bits.
  part = lambda index, weight: (weight * (jnp.take(rows, index, 0) >> 4)) >> 16
  return (part(first, one - second) + part(last, second) + 2) >> 2


def cut_label(
  label: jax.Array, box: jax.Array, size: tuple[int, ...]
) -> jax.Array:
  """Crops a label map and resizes the crop by the pixels floor(i * in / out).

  Computed with the reciprocal of out / in, as in OpenCV: for some sizes an
  exact quotient is rounded down to the pixel before.

  Args:
    label: [H, W], any dtype; ignored pixels are picked like others.
    box: [4] int32 (top, bottom, left, right), inside the map.
    size: (height, width) of the result.

  Returns:
    [height, width].

  Example:
    >>> label = jnp.array([[5, 6, 7, 8]])
    >>> print(cut_label(label, jnp.array([0, 1, 2, 4]), (1, 4)))
    [[7 7 8 8]]
  """
  for axis in range(2):
    start, stop = box[2 * axis], box[2 * axis + 1]
    n, out = label.shape[axis], size[axis]
    table = (np.arange(out) * _scales(n, out)).astype(np.int32)
    table = np.minimum(table, np.arange(n, dtype=np.int32)[:, None])
    index = start + jnp.take(table, stop - start - 1, 0)
    label = jnp.take(label, index, axis)
  return label
