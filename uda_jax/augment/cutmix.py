"""CutMix: a box of one image is pasted into another (PixMatch's variant)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.augment import classmix
from uda_jax.ops import resize


class CutMixDraw(NamedTuple):
  """The draws of a group: all its images share them.

  Attributes:
    role: [] uniform in [0, 1); above 0.5 the first image is the patch.
    keep: [] uniform in [0, 1), the base's share of the area (Beta(1, 1)).
    centre: [2] int32, row and column.
  """

  role: jax.Array
  keep: jax.Array
  center: jax.Array


def draw_cutmix(key: jax.Array, size: tuple[int, int]) -> CutMixDraw:
  """Draws a box and the roles for images [B, H, W, C] with `size` (H, W)."""
  area_key, center_key = jax.random.split(key)
  role, keep = jax.random.uniform(area_key, (2,))
  center = jax.random.randint(center_key, (2,), 0, jnp.array(size))
  return CutMixDraw(role, keep, center)


def box_mask(draw: CutMixDraw, size: tuple[int, int]) -> jax.Array:
  """Returns the pixels of the box, cut at the border: [H, W] bool.

  Its sides are sqrt(1 - keep) of the image's, rounded down.
  """
  side = jnp.sqrt(1 - draw.keep)
  inside = []
  for axis, n in enumerate(size):
    # In whole numbers as the released code truncates them.
    half = jnp.floor(n * side).astype(jnp.int32) // 2
    place = jnp.arange(n)
    inside.append(
      (place >= draw.center[axis] - half) & (place < draw.center[axis] + half)
    )
  return inside[0][:, None] & inside[1][None, :]


def apply_cutmix(
  first: jax.Array,
  first_label: jax.Array,
  second: jax.Array,
  second_label: jax.Array,
  draw: CutMixDraw,
) -> tuple[jax.Array, jax.Array]:
  """Pastes a box of one image, with its labels, into the other.

  PixMatch (arXiv 2105.08128, released code). If the sizes differ, the first
  image is resized to the second's (bicubic, may overshoot; labels nearest).

  Args:
    first: [B, H, W, C] float, the target.
    first_label: [B, H, W] int.
    second: [B, H', W', C] float, the source.
    second_label: [B, H', W'] int.
    draw: what `draw_cutmix` returns for (H', W').

  Returns:
    [B, H', W', C] float and [B, H', W'] int; ignored pixels are pasted too.
  """
  size = second.shape[1:3]
  first = resize.bicubic(first, size)
  first_label = resize.nearest(first_label, size)
  inside = box_mask(draw, size)
  # The second image is the patch, or else the first is.
  from_second = jnp.where(draw.role > 0.5, ~inside, inside)
  from_second = jnp.broadcast_to(from_second, first_label.shape)
  return (
    classmix.mix(from_second, second, first),
    classmix.mix(from_second, second_label, first_label),
  )
