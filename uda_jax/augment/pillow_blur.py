"""Gaussian blur as Pillow computes it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

# Pillow approximates the Gaussian by so many box blurs an axis.
_PASSES = 3
_UNIT = 1 << 24


def gaussian(pixels: jax.Array, radius: jax.Array) -> jax.Array:
  """Blurs images slightly, with replicated edges.

  Pillow's `ImageFilter.GaussianBlur`, bit for bit (PixMatch's images): boxes of
  a pixel and a share of its two neighbours, three times along rows, then three
  times along columns, in integers that are rounded after each.

  Args:
    pixels: [B, H, W, 3] uint8.
    radius: [B] float in [0, 1), the standard deviations in pixels. From 1 on
      Pillow's boxes are larger than these.

  Returns:
    [B, H, W, 3] uint8.
  """
  q = radius.astype(jnp.float32) ** 2 / _PASSES
  # Pillow's formula for the box; its whole part is 0 below a radius of 1.
  box = q / (2 * (1 - q))
  whole = (_UNIT / (2 * box + 1)).astype(jnp.uint32)[:, None, None, None]
  side = (_UNIT - whole) // 2
  x = pixels.astype(jnp.uint32)
  for axis in (2, 1):
    last = x.shape[axis]
    for _ in range(_PASSES):
      before = jnp.take(x, jnp.maximum(jnp.arange(last) - 1, 0), axis)
      after = jnp.take(x, jnp.minimum(jnp.arange(last) + 1, last - 1), axis)
      # At most 255 * 2^24 + 2^23, which 32 bits hold.
      x = (x * whole + (before + after) * side + _UNIT // 2) // _UNIT
  return x.astype(jnp.uint8)
