"""Random blocks of an image blanked out (MIC, arXiv 2212.01322)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.ops import resize


def block_grid(image_size: tuple[int, int], block_size: int) -> tuple[int, int]:
  """Returns (rows, columns) of blocks; halves round to even (released code)."""
  grid = tuple(round(n / block_size) for n in image_size)
  if not min(grid):
    raise ValueError(
      f'block_size: expected blocks that fit into {image_size}, '
      f'got {block_size}'
    )
  return grid


def draw_mask(
  key: jax.Array,
  image_size: tuple[int, int],
  *,
  batch: int,
  ratio: float,
  block_size: int,
) -> jax.Array:
  """Draws which pixels stay visible, every block on its own.

  Args:
    key: a JAX key.
    image_size: (height, width).
    batch: B.
    ratio: expected share of hidden blocks; published: 0.7.
    block_size: side of the blocks in pixels; published: 64, and 32 for crops of
      512.

  Returns:
    [B, height, width] bool, True where visible.
  """
  uniform = jax.random.uniform(
    key, (batch, *block_grid(image_size, block_size))
  )
  return visible_mask(uniform, image_size, ratio=ratio)


def visible_mask(
  uniform: jax.Array, image_size: tuple[int, int], *, ratio: float
) -> jax.Array:
  """Turns drawn numbers into the mask.

  Args:
    uniform: [B, rows, columns] float in [0, 1), one a block.
    image_size: (height, width).
    ratio: blocks above it stay.

  Returns:
    [B, height, width] bool; blocks are as large as `resize.nearest` makes them.
  """
  return resize.nearest(uniform > ratio, image_size)


def apply_mask(image: jax.Array, mask: jax.Array) -> jax.Array:
  """Blanks hidden pixels.

  Args:
    image: [B, H, W, 3] float, normalised: 0 is the mean colour.
    mask: [B, H, W] bool, True where visible.

  Returns:
    [B, H, W, 3].
  """
  return jnp.where(mask[..., None], image, 0)
