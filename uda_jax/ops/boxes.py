"""Boxes of images and maps: draw, cut, paste, sliding windows.

HRDA (arXiv 2204.13132), released code. A box is int32 (top, bottom, left,
right), bottom and right excluded: [4] for a whole batch or [B, 4] for one per
image. The corner may be traced, the size is static and an argument.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

# Asks a network for the box of highest entropy of each image.
MAX_ENTROPY = 'max_entropy'


def corner_counts(
  image_size: tuple[int, ...],
  crop_size: tuple[int, ...],
  *,
  divisible: int = 8,
  include_last: bool = False,
) -> tuple[int, ...]:
  """Number of (rows, columns) at which a crop can begin.

  Args:
    image_size: (height, width).
    crop_size: (height, width).
    divisible: corners are multiples of this number.
    include_last: count the last corner. The released code does not (a crop of
      512 in 1024 never begins at 512).

  Raises:
    ValueError: the crop is larger than the image.

  Example:
    >>> corner_counts((1024, 1024), (512, 768))
    (64, 32)
    >>> corner_counts((1024, 1024), (512, 768), include_last=True)
    (65, 33)
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
  image_size: tuple[int, ...],
  crop_size: tuple[int, ...],
  *,
  divisible: int = 8,
  include_last: bool = False,
) -> jax.Array:
  """Draws one box for a whole batch, uniform over its corners.

  Args:
    key: a JAX key.
    image_size: (height, width).
    crop_size: (height, width).
    divisible: see `corner_counts`.
    include_last: see `corner_counts`.

  Returns:
    [4] int32 (top, bottom, left, right).

  Raises:
    ValueError: the crop is larger than the image.

  Example:
    >>> print(draw_box(jax.random.key(0), (16, 16), (16, 16)))
    [ 0 16  0 16]
  """
  counts = np.array(
    corner_counts(
      image_size, crop_size, divisible=divisible, include_last=include_last
    )
  )
  top, left = divisible * jax.random.randint(key, (2,), 0, counts)
  return jnp.stack([top, top + crop_size[0], left, left + crop_size[1]])


def _corner(box: jax.Array, ndim: int) -> tuple[jax.Array, ...]:
  """First index of a box along each of the `ndim` axes of an image."""
  return (box[0], box[2]) + (jnp.zeros_like(box[0]),) * (ndim - 2)


def cut(x: jax.Array, box: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Cuts boxes out of images or maps.

  Args:
    x: [B, H, W, ...], any dtype.
    box: [4] or [B, 4] int32, inside the image.
    size: static (height, width) of the box.

  Returns:
    [B, height, width, ...].

  Example:
    >>> x = jnp.arange(12).reshape(1, 3, 4)
    >>> print(cut(x, jnp.array([1, 3, 0, 2]), (2, 2)))
    [[[4 5]
      [8 9]]]
  """

  def one(image: jax.Array, box: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice(
      image, _corner(box, image.ndim), (*size, *image.shape[2:])
    )

  return jax.vmap(one, (0, None if box.ndim == 1 else 0))(x, box)


def paste(x: jax.Array, box: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Pastes maps at the corners of their boxes, with zeros elsewhere.

  Args:
    x: [B, h, w, ...] float.
    box: [4] or [B, 4] int32, in pixels of the result; only the corner is read.
    size: (height, width) of the result.

  Returns:
    [B, height, width, ...].

  Example:
    >>> print(paste(jnp.ones((1, 1, 2)), jnp.array([1, 2, 1, 3]), (2, 3)))
    [[[0. 0. 0.]
      [0. 1. 1.]]]
  """

  def one(x: jax.Array, box: jax.Array) -> jax.Array:
    canvas = jnp.zeros((*size, *x.shape[2:]), x.dtype)
    return jax.lax.dynamic_update_slice(canvas, x, _corner(box, x.ndim))

  return jax.vmap(one, (0, None if box.ndim == 1 else 0))(x, box)


def inside(box: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Mask of the pixels inside a box.

  Args:
    box: [4] or [B, 4] int32, in pixels of the result.
    size: (height, width) of the result.

  Returns:
    [1 or B, height, width, 1] bool.

  Example:
    >>> print(inside(jnp.array([0, 1, 1, 3]), (2, 3))[0, ..., 0].astype(int))
    [[0 1 1]
     [0 0 0]]
  """
  top, bottom, left, right = jnp.moveaxis(jnp.atleast_2d(box), -1, 0)[
    ..., None, None
  ]
  rows, columns = jnp.ogrid[: size[0], : size[1]]
  covered = (top <= rows) & (rows < bottom)
  covered &= (left <= columns) & (columns < right)
  return covered[..., None]


def window_starts(length: int, size: int, stride: int) -> tuple[int, ...]:
  """First indices of sliding windows along one axis (DAFormer, released code).

  The last window is moved back to end with the image. A window longer than the
  image begins at 0.

  Args:
    length: length of the image.
    size: length of a window.
    stride: distance of two windows.

  Example:
    >>> window_starts(10, 4, 3), window_starts(11, 4, 3), window_starts(3, 4, 3)
    ((0, 3, 6), (0, 3, 6, 7), (0,))
  """
  count = max(length - size + stride - 1, 0) // stride + 1
  return tuple(
    max(min(i * stride + size, length) - size, 0) for i in range(count)
  )


def sliding_boxes(
  image_size: tuple[int, ...],
  crop_size: tuple[int, ...],
  stride: tuple[int, ...],
) -> np.ndarray:
  """Boxes of a sliding window, row by row.

  Args:
    image_size: (height, width).
    crop_size: (height, width) of a window, cut to the image.
    stride: (rows, columns) between windows.

  Returns:
    [n, 4] int32.

  Example:
    >>> print(sliding_boxes((4, 6), (4, 4), (2, 2)))
    [[0 4 0 4]
     [0 4 2 6]]
  """
  height, width = map(min, crop_size, image_size)
  rows, columns = map(window_starts, image_size, crop_size, stride)
  return np.array(
    [(y, y + height, x, x + width) for y in rows for x in columns], np.int32
  )


def stack(
  x: jax.Array, boxes: Sequence[Sequence[int]] | np.ndarray
) -> jax.Array:
  """Cuts static boxes of one size and stacks them, window-major.

  Args:
    x: [B, H, W, ...], any dtype.
    boxes: [n, 4] int.

  Returns:
    [n * B, height, width, ...].

  Example:
    >>> x = jnp.arange(3).reshape(1, 1, 3)
    >>> print(stack(x, [(0, 1, 0, 2), (0, 1, 1, 3)]))
    [[[0 1]]
     [[1 2]]]
  """
  return jnp.concatenate([x[:, y1:y2, x1:x2] for y1, y2, x1, x2 in boxes])


def average(
  x: jax.Array,
  boxes: Sequence[Sequence[int]] | np.ndarray,
  size: tuple[int, ...],
) -> jax.Array:
  """Averages stacked windows where they overlap.

  Args:
    x: [n * B, h, w, C] float, window-major as from `stack`.
    boxes: [n, 4] int, in pixels of the result; only the corners are read. The
      windows must cover the result: pixels without a window are NaN (0 / 0).
    size: (height, width) of the result.

  Returns:
    [B, height, width, C] float.

  Example:
    >>> windows = jnp.array([1.0, 3.0]).reshape(2, 1, 1, 1).repeat(2, 2)
    >>> boxes = [(0, 1, 0, 2), (0, 1, 1, 3)]
    >>> print(average(windows, boxes, (1, 3))[0, 0, :, 0])
    [1. 2. 3.]
  """
  windows = x.reshape(len(boxes), -1, *x.shape[1:])
  total = jnp.zeros((windows.shape[1], *size, x.shape[-1]), x.dtype)
  visits = np.zeros((*size, 1))
  for window, (top, _, left, _) in zip(windows, boxes):
    after = top + x.shape[1], left + x.shape[2]
    total += jnp.pad(
      window,
      ((0, 0), (top, size[0] - after[0]), (left, size[1] - after[1]), (0, 0)),
    )
    visits[top : after[0], left : after[1]] += 1
  return total / visits.astype(x.dtype)
