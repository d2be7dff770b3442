"""Masking of random blocks of an image (MIC, arXiv 2212.01322)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.ops import resize


def block_grid(image_size: tuple[int, ...], block_size: int) -> tuple[int, ...]:
  """Number of (rows, columns) of blocks; halves round to even (released code).

  Args:
    image_size: (height, width) in pixels.
    block_size: side of the blocks in pixels.

  Raises:
    ValueError: the blocks are larger than the image.

  Example:
    >>> block_grid((512, 1024), 64)
    (8, 16)
  """
  grid = tuple(round(n / block_size) for n in image_size)
  if not min(grid):
    raise ValueError(
      f'block_size: expected at most the image size {image_size}, '
      f'got {block_size}'
    )
  return grid


def draw_mask(
  key: jax.Array,
  image_size: tuple[int, ...],
  *,
  batch: int,
  ratio: float,
  block_size: int,
) -> jax.Array:
  """Draws a mask of visible blocks, each block independently.

  Args:
    key: a JAX key.
    image_size: (height, width).
    batch: B.
    ratio: mask ratio in [0, 1], expected fraction of hidden blocks; published:
      0.7.
    block_size: side of the blocks in pixels; published: 64 (32 for crops of
      512 pixels).

  Returns:
    [B, height, width] bool, True where visible.

  Raises:
    ValueError: the blocks are larger than the image.

  Example:
    >>> mask = draw_mask(
    ...     jax.random.key(0), (4, 8), batch=1, ratio=0.5, block_size=4)
    >>> print(mask.shape, mask[0, :, :4].all() or not mask[0, :, :4].any())
    (1, 4, 8) True
  """
  uniform = jax.random.uniform(
    key, (batch, *block_grid(image_size, block_size))
  )
  return visible_mask(uniform, image_size, ratio=ratio)


def visible_mask(
  uniform: jax.Array, image_size: tuple[int, ...], *, ratio: float
) -> jax.Array:
  """Mask of the blocks whose uniform draw exceeds the mask ratio.

  Args:
    uniform: [B, rows, columns] float in [0, 1), one draw per block.
    image_size: (height, width).
    ratio: mask ratio in [0, 1].

  Returns:
    [B, height, width] bool, resized from blocks by `resize.nearest`.

  Example:
    >>> print(visible_mask(jnp.array([[[0.2, 0.9]]]), (1, 4), ratio=0.7))
    [[[False False  True  True]]]
  """
  return resize.nearest(uniform > ratio, image_size)


def apply_mask(image: jax.Array, mask: jax.Array) -> jax.Array:
  """Sets hidden pixels to 0.

  Args:
    image: [B, H, W, 3] float, normalized, so that 0 is the mean color.
    mask: [B, H, W] bool, True where visible.

  Returns:
    [B, H, W, 3] float.

  Example:
    >>> mask = jnp.array([[[True, False]]])
    >>> print(apply_mask(jnp.ones((1, 1, 2, 3)), mask))
    [[[[1. 1. 1.]
       [0. 0. 0.]]]]
  """
  return jnp.where(mask[..., None], image, 0)
