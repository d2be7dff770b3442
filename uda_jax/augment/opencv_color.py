"""Colour operators on 8-bit pixels, rounded as OpenCV and albumentations do.

The strong augmentation of PixMatch and EHTDI works on bytes: every operator
ends in a whole number of 0..255, from which the next one starts. Pixels are
int32 here, so that sums do not overflow. None of this is differentiable.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

# OpenCV divides by multiplying with rounded reciprocals of 12 binary places.
PLACES = 12
# Hues of a full turn.
HUES = 180


def brightness_contrast(
  pixels: jax.Array, alpha: jax.Array, beta: jax.Array
) -> jax.Array:
  """Computes alpha * v + 255 * beta, clipped and rounded down.

  Args:
    pixels: [..., 3] int32 in 0..255.
    alpha: [] float, the contrast.
    beta: [] float, the brightness.

  Returns:
    [..., 3] int32 in 0..255.
  """
  value = alpha * pixels + 255 * beta
  return jnp.clip(value, 0, 255).astype(jnp.int32)


def _divide(factor, scale, divisor):
  """Computes factor * scale / divisor as OpenCV does; 0 for the divisor 0."""
  reciprocal = jnp.round((scale << PLACES) / jnp.maximum(divisor, 1))
  product = factor * reciprocal.astype(jnp.int32)
  rounded = (product + (1 << PLACES - 1)) >> PLACES
  return jnp.where(divisor == 0, 0, rounded)


def rgb_to_hsv(pixels: jax.Array) -> jax.Array:
  """Converts colours to 8-bit hue, saturation and value.

  Args:
    pixels: [..., 3] int32 in 0..255.

  Returns:
    [..., 3] int32: hue in 0..179 (two degrees each), the others in 0..255.
  """
  r, g, b = jnp.moveaxis(pixels, -1, 0)
  value = jnp.maximum(jnp.maximum(r, g), b)
  spread = value - jnp.minimum(jnp.minimum(r, g), b)
  sector = jnp.where(
    value == r,
    g - b,
    jnp.where(value == g, b - r + 2 * spread, r - g + 4 * spread),
  )
  hue = _divide(sector, HUES // 6, spread)
  hue = jnp.where(hue < 0, hue + HUES, hue)
  return jnp.stack([hue, _divide(spread, 255, value), value], -1)


def hsv_to_rgb(hsv: jax.Array) -> jax.Array:
  """Converts 8-bit hue, saturation and value to colours, rounded down.

  So does OpenCV's vector loop; it rounds to the nearest in the last columns of
  a width that is no multiple of the vectors.

  Args:
    hsv: [..., 3] int32: hue in 0..179, the others in 0..255.

  Returns:
    [..., 3] int32 in 0..255.
  """
  hue, saturation, value = jnp.moveaxis(hsv, -1, 0)
  saturation = saturation / 255
  sector = hue // (HUES // 6)
  f = hue * (6 / HUES) - sector
  p = value * (1 - saturation)
  q = value * (1 - saturation * f)
  t = value * (1 - saturation * (1 - f))
  pick = lambda *choices: jnp.select([sector == i for i in range(6)], choices)
  rgb = jnp.stack(
    [
      pick(value, q, p, p, t, value),
      pick(t, value, value, q, p, p),
      pick(p, p, t, value, value, q),
    ],
    -1,
  )
  # In float32, value * 1 may end just below the whole number that it is.
  return jnp.floor(rgb + 1e-3).astype(jnp.int32)


def shift_hsv(pixels: jax.Array, shift: jax.Array) -> jax.Array:
  """Adds to hue (around the circle), saturation and value, rounded down.

  Args:
    pixels: [..., 3] int32 in 0..255.
    shift: [3] float, in the units of `rgb_to_hsv`.

  Returns:
    [..., 3] int32 in 0..255.
  """
  shifted = rgb_to_hsv(pixels) + shift
  hue = jnp.mod(shifted[..., :1], HUES)
  rest = jnp.clip(shifted[..., 1:], 0, 255)
  return hsv_to_rgb(jnp.concatenate([hue, rest], -1).astype(jnp.int32))


def gray(pixels: jax.Array) -> jax.Array:
  """Replaces all channels by the luminance.

  Args:
    pixels: [..., 3] int32 RGB in 0..255.

  Returns:
    [..., 3] int32 in 0..255.
  """
  r, g, b = jnp.moveaxis(pixels, -1, 0)
  value = (9798 * r + 19235 * g + 3735 * b + (1 << 14)) >> 15
  return jnp.broadcast_to(value[..., None], pixels.shape)


def binomial_blur(pixels: jax.Array, *, radius: int) -> jax.Array:
  """Blurs with the rows of Pascal's triangle, as OpenCV's small Gaussians.

  Args:
    pixels: [H, W, C] int32 in 0..255; both sides longer than the radius.
    radius: 1 ([1, 2, 1] / 4) or 2 ([1, 4, 6, 4, 1] / 16).

  Returns:
    [H, W, C] int32 in 0..255. Borders are mirrored, the edge not repeated.
  """
  taps = {1: (1, 2, 1), 2: (1, 4, 6, 4, 1)}[radius]
  padding = [(radius, radius)] * 2 + [(0, 0)]
  height, width = pixels.shape[:2]
  pixels = jnp.pad(pixels, padding, mode='reflect')
  rows = sum(tap * pixels[i : i + height] for i, tap in enumerate(taps))
  total = sum(tap * rows[:, i : i + width] for i, tap in enumerate(taps))
  places = 4 * radius
  return (total + (1 << places - 1)) >> places
