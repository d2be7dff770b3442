"""CutMix: pastes a box of one image into another (PixMatch's variant)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.augment import classmix
from uda_jax.ops import resize


class CutMixDraw(NamedTuple):
  """Random draws of `apply_cutmix`, shared by the images of a group.

  Attributes:
    role: [] uniform in [0, 1); above 0.5 the box is cut from the first image
      and pasted into the second, else the reverse.
    keep: [] uniform in [0, 1) (Beta(1, 1)), fraction of the area that keeps the
      base image.
    center: [2] int32, row and column of the box's center.
  """

  role: jax.Array
  keep: jax.Array
  center: jax.Array


def draw_cutmix(key: jax.Array, size: tuple[int, ...]) -> CutMixDraw:
  """Draws a box and the roles of the two images.

  Args:
    key: a JAX key.
    size: (H, W) of the second image [B, H, W, C].

  Returns:
    Draws for `apply_cutmix`.

  Example:
    >>> print(draw_cutmix(jax.random.key(0), (4, 6)).center.shape)
    (2,)
  """
  area_key, center_key = jax.random.split(key)
  role, keep = jax.random.uniform(area_key, (2,))
  center = jax.random.randint(center_key, (2,), 0, jnp.array(size))
  return CutMixDraw(role, keep, center)


def box_mask(draw: CutMixDraw, size: tuple[int, ...]) -> jax.Array:
  """Mask of the pixels of the box, clipped at the border.

  Args:
    draw: result of `draw_cutmix`; the sides of the box are sqrt(1 - keep) of
      the image's, rounded down to even numbers.
    size: (H, W) of the image.

  Returns:
    [H, W] bool.

  Example:
    >>> draw = CutMixDraw(jnp.array(0.9), jnp.array(0.5), jnp.array([1, 3]))
    >>> print(box_mask(draw, (3, 4)).astype(int))
    [[0 0 1 1]
     [0 0 1 1]
     [0 0 0 0]]
  """
  side = jnp.sqrt(1 - draw.keep)
  inside = []
  for axis, n in enumerate(size):
    # Truncated like in the released code.
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
  image is resized to the second's: bicubic (may overshoot), labels nearest.

  Args:
    first: [B, H, W, C] float, any values (PixMatch: the target).
    first_label: [B, H, W] int, any values.
    second: [B, H', W', C] float, any values (PixMatch: the source).
    second_label: [B, H', W'] int, any values.
    draw: result of `draw_cutmix` for (H', W').

  Returns:
    [B, H', W', C] float and [B, H', W'] int; ignored pixels are pasted as
    ignored.

  Example:
    >>> first, second = jnp.zeros((1, 3, 4, 1)), jnp.ones((1, 3, 4, 1))
    >>> draw = CutMixDraw(jnp.array(0.9), jnp.array(0.5), jnp.array([1, 3]))
    >>> image, label = apply_cutmix(
    ...     first, first[..., 0], second, second[..., 0], draw)
    >>> print(label[0].astype(int))
    [[1 1 0 0]
     [1 1 0 0]
     [1 1 1 1]]
  """
  size = second.shape[1:3]
  first = resize.bicubic(first, size)
  first_label = resize.nearest(first_label, size)
  inside = box_mask(draw, size)
  # Above 0.5 the box shows the first image, else everything around it.
  from_second = jnp.where(draw.role > 0.5, ~inside, inside)
  from_second = jnp.broadcast_to(from_second, first_label.shape)
  return (
    classmix.mix(from_second, second, first),
    classmix.mix(from_second, second_label, first_label),
  )
