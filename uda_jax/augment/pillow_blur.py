"""Gaussian blur with the arithmetic of Pillow."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.ops import dtypes

# Number of box blurs by which Pillow approximates a Gaussian, per axis.
_PASSES = 3
_UNIT = 1 << 24


def pillow_gaussian_blur(pixels: jax.Array, radius: jax.Array) -> jax.Array:
  """Blurs images like Pillow's `ImageFilter.GaussianBlur`, bit for bit.

  Three box blurs along rows, then three along columns, in integers rounded
  after each. A box is a pixel and a fraction of its two neighbors; edge pixels
  are repeated.

  Args:
    pixels: [B, H, W, 3] uint8.
    radius: [B] float in [0, 1), the standard deviation in pixels. Pillow uses
      larger boxes from 1 on, which are not implemented.

  Returns:
    [B, H, W, 3] uint8.

  Raises:
    TypeError: `pixels` are not uint8.

  Example:
    >>> pixels = jnp.zeros((1, 1, 5, 3), jnp.uint8).at[0, 0, 2].set(200)
    >>> print(pillow_gaussian_blur(pixels, jnp.array([0.5]))[0, 0, :, 0])
    [  1  21 155  21   1]
  """
  dtypes.check_bytes(pixels, name='pixels')
  q = radius.astype(jnp.float32) ** 2 / _PASSES
  # Pillow's formula for the box; its integer part is 0 for a radius below 1.
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
