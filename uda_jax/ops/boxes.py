"""Boxes of images and maps: draw, cut, paste, slide (HRDA, arXiv 2204.13132).

A box is int32 (top, bottom, left, right), bottom and right excluded, either
[4] for a whole batch or [B, 4], one an image. Its corner may be traced, its
size is static: whoever cuts says how large the result is.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

# A network's request for the boxes of highest entropy, one an image.
MAX_ENTROPY = 'max_entropy'


def corner_counts(
  image_size: tuple[int, int],
  crop_size: tuple[int, int],
  *,
  divisible: int = 8,
  include_last: bool = False,
) -> tuple[int, int]:
  """Returns the number of corners (down, right) that a crop can have.

  Args:
    image_size: (height, width).
    crop_size: (height, width).
    divisible: corners are multiples of it.
    include_last: counts the last corner too. The released code excludes it
      (a crop of 512 in 1024 never begins at 512).
  """
  if min(np.subtract(image_size, crop_size)) < 0:
    raise ValueError(
      f'crop_size: expected at most the image size {image_size},'
      f' got {crop_size}'
    )
  rest = [n - crop for n, crop in zip(image_size, crop_size)]
  if include_last:
    return tuple(n // divisible + 1 for n in rest)
  return tuple(max((n + 1) // divisible, 1) for n in rest)


def draw_box(
  key: jax.Array,
  image_size: tuple[int, int],
  crop_size: tuple[int, int],
  *,
  divisible: int = 8,
  include_last: bool = False,
) -> jax.Array:
  """Draws one box for a whole batch, all its corners equally likely.

  Args:
    key: a JAX key.
    image_size: (height, width).
    crop_size: (height, width).
    divisible: see `corner_counts`.
    include_last: see `corner_counts`.

  Returns:
    [4] int32 (top, bottom, left, right).
  """
  counts = np.array(
    corner_counts(
      image_size, crop_size, divisible=divisible, include_last=include_last
    )
  )
  top, left = divisible * jax.random.randint(key, (2,), 0, counts)
  return jnp.stack([top, top + crop_size[0], left, left + crop_size[1]])


def _corner(box: jax.Array, ndim: int) -> tuple[jax.Array, ...]:
  """Returns where a box begins in an image of `ndim` axes."""
  return (box[0], box[2]) + (jnp.zeros_like(box[0]),) * (ndim - 2)


def cut(x: jax.Array, box: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Cuts boxes out of images or maps.

  Args:
    x: [B, H, W, ...], any dtype.
    box: [4] or [B, 4] int32, inside the image.
    size: the box's static (height, width).

  Returns:
    [B, height, width, ...].
  """

  def one(image, box):
    return jax.lax.dynamic_slice(
      image, _corner(box, image.ndim), (*size, *image.shape[2:])
    )

  return jax.vmap(one, (0, None if box.ndim == 1 else 0))(x, box)


def paste(x: jax.Array, box: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Puts maps at the corners of their boxes, zeros elsewhere.

  Args:
    x: [B, h, w, ...] float.
    box: [4] or [B, 4] int32, in pixels of the result.
    size: (height, width) of the result.

  Returns:
    [B, height, width, ...].
  """

  def one(x, box):
    canvas = jnp.zeros((*size, *x.shape[2:]), x.dtype)
    return jax.lax.dynamic_update_slice(canvas, x, _corner(box, x.ndim))

  return jax.vmap(one, (0, None if box.ndim == 1 else 0))(x, box)


def inside(box: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Returns which pixels lie in the box.

  Args:
    box: [4] or [B, 4] int32, in pixels of the result.
    size: (height, width) of the result.

  Returns:
    [1 or B, height, width, 1] bool.
  """
  top, bottom, left, right = jnp.moveaxis(jnp.atleast_2d(box), -1, 0)[
    ..., None, None
  ]
  rows, columns = jnp.ogrid[: size[0], : size[1]]
  covered = (top <= rows) & (rows < bottom)
  covered &= (left <= columns) & (columns < right)
  return covered[..., None]


def window_starts(length: int, size: int, stride: int) -> tuple[int, ...]:
  """Returns where windows begin along one axis (DAFormer, released code).

  The last window is moved back so that it ends with the image; a window that
  is longer than the image is cut to it and begins at 0.
  """
  count = max(length - size + stride - 1, 0) // stride + 1
  return tuple(
    max(min(i * stride + size, length) - size, 0) for i in range(count)
  )


def sliding_boxes(
  image_size: tuple[int, int],
  crop_size: tuple[int, int],
  stride: tuple[int, int],
) -> np.ndarray:
  """Returns the boxes [n, 4] of a sliding window, row by row."""
  height, width = map(min, crop_size, image_size)
  rows, columns = map(window_starts, image_size, crop_size, stride)
  return np.array(
    [(y, y + height, x, x + width) for y in rows for x in columns], np.int32
  )


def stack(
  x: jax.Array, boxes: Sequence[Sequence[int]] | np.ndarray
) -> jax.Array:
  """Cuts n static boxes of one size and stacks them, window-major.

  Args:
    x: [B, H, W, ...].
    boxes: [n, 4] int.

  Returns:
    [n * B, height, width, ...].
  """
  return jnp.concatenate([x[:, y1:y2, x1:x2] for y1, y2, x1, x2 in boxes])


def average(
  x: jax.Array,
  boxes: Sequence[Sequence[int]] | np.ndarray,
  size: tuple[int, int],
) -> jax.Array:
  """Puts stacked windows back: their sum over the number of visits.

  Args:
    x: [n * B, h, w, C] float, window-major as `stack` returns them.
    boxes: [n, 4] int, in pixels of the result; only corners are read. They
      must cover the result.
    size: (height, width) of the result.

  Returns:
    [B, height, width, C].
  """
  windows = x.reshape(len(boxes), -1, *x.shape[1:])
  total, visits = 0, np.zeros((*size, 1))
  for window, (top, _, left, _) in zip(windows, boxes):
    after = top + x.shape[1], left + x.shape[2]
    total += jnp.pad(
      window,
      ((0, 0), (top, size[0] - after[0]), (left, size[1] - after[1]), (0, 0)),
    )
    visits[top : after[0], left : after[1]] += 1
  return total / visits.astype(x.dtype)
