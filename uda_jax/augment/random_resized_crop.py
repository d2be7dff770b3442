"""Random crops of random size and aspect, resized to one size.

As albumentations' `RandomResizedCrop` with OpenCV's resize draws and computes
it (PixMatch and EHTDI, released code). A box is int32 (top, left, height,
width) and traced; the size of the result is static.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

ATTEMPTS = 10
# OpenCV interpolates bytes with weights of 11 binary places.
PLACES = 11


def fallback_size(
  image_size: tuple[int, int], aspect: tuple[float, float]
) -> tuple[int, int]:
  """Returns the largest (height, width) whose width / height is allowed."""
  height, width = image_size
  low, high = aspect
  if width / height < low:
    return round(width / low), width
  if width / height > high:
    return height, round(height * high)
  return height, width


def draw_crops(
  key: jax.Array,
  image_size: tuple[int, int],
  *,
  batch: int,
  area: tuple[float, float],
  aspect: tuple[float, float],
) -> jax.Array:
  """Draws one box an image: the first of ten that fits, or a central one.

  Args:
    key: a JAX key.
    image_size: (height, width).
    batch: B.
    area: the share of the image's area is uniform between these.
    aspect: width / height is log-uniform between these.

  Returns:
    [B, 4] int32 (top, left, height, width).
  """
  uniform = jax.random.uniform(key, (batch, 2 * ATTEMPTS + 2))
  share, ratio, where = jnp.split(uniform, (ATTEMPTS, 2 * ATTEMPTS), -1)
  between = lambda u, low, high: low + (high - low) * u
  surface = image_size[0] * image_size[1] * between(share, *area)
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
  box = jnp.concatenate([place(jnp.minimum(offset, room)), size], -1)
  central = np.array(fallback_size(image_size, aspect))
  central = np.append((np.array(image_size) - central) // 2, central)
  return jnp.where(fits.any(-1, keepdims=True), box, central)


def place(offset: jax.Array) -> jax.Array:
  """Returns where a crop with this drawn offset begins: one pixel before.

  The released code passes offsets through a fraction, which truncates.

  Args:
    offset: [...] int32 >= 0, rows or columns.
  """
  return jnp.maximum(offset - 1, 0)


def _neighbors(start, length, out):
  """Two neighbours of every output pixel, and the second's 11-bit weight."""
  position = (jnp.arange(out) + 0.5) * (length / out) - 0.5
  low = jnp.floor(position)
  second = jnp.round((position - low) * (1 << PLACES)).astype(jnp.int32)
  # Beyond the border both are the edge pixel.
  first, last = (
    jnp.clip(low.astype(jnp.int32) + i, 0, length - 1) for i in range(2)
  )
  return start + first, start + last, second


def cut_image(
  pixels: jax.Array, box: jax.Array, size: tuple[int, int]
) -> jax.Array:
  """Cuts a box and resizes it bilinearly, without antialiasing, to bytes.

  Args:
    pixels: [H, W, C] int32 in 0..255.
    box: [4] int32 (top, left, height, width), inside the image.
    size: (height, width) of the result.

  Returns:
    [height, width, C] int32 in 0..255.
  """
  one = 1 << PLACES
  first, last, second = _neighbors(box[1], box[3], size[1])
  second = second[:, None]
  rows = (
    jnp.take(pixels, first, 1) * (one - second)
    + jnp.take(pixels, last, 1) * second
  )
  first, last, second = _neighbors(box[0], box[2], size[0])
  second = second[:, None, None]
  # OpenCV drops bits before each product, so that it fits into 16.
  part = lambda index, weight: (weight * (jnp.take(rows, index, 0) >> 4)) >> 16
  return (part(first, one - second) + part(last, second) + 2) >> 2


def cut_label(
  label: jax.Array, box: jax.Array, size: tuple[int, int]
) -> jax.Array:
  """Cuts a box and picks the pixels floor(i * in / out).

  As OpenCV: computed with the reciprocal of out / in, some exact quotients
  become the pixel before.

  Args:
    label: [H, W], any dtype.
    box: [4] int32 (top, left, height, width), inside the map.
    size: (height, width) of the result.

  Returns:
    [height, width].
  """
  for axis in range(2):
    # One row a length that the box can have: its rounding needs 64 bits.
    length = np.arange(1, label.shape[axis] + 1)[:, None]
    table = np.arange(size[axis]) * (1 / (size[axis] / length))
    table = np.minimum(table.astype(np.int32), length - 1).astype(np.int32)
    index = box[axis] + jnp.take(table, box[2 + axis] - 1, 0)
    label = jnp.take(label, index, axis)
  return label
