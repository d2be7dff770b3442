"""Color operators on 8-bit pixels with the rounding of OpenCV.

The strong augmentation of PixMatch and EHTDI (albumentations) works on bytes:
every operator rounds to integers in 0..255. Pixels are int32 here, so that sums
do not overflow; narrower ones are a TypeError. Nothing here is differentiable.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.augment import filters
from uda_jax.ops import dtypes

# OpenCV divides by multiplying with reciprocals rounded to 12 bits.
PLACES = 12
# Number of hues in a full turn.
HUES = 180


def brightness_contrast(
  pixels: jax.Array, alpha: jax.Array, beta: jax.Array
) -> jax.Array:
  """Brightness and contrast: alpha * v + 255 * beta, clipped, rounded down.

  Args:
    pixels: [..., 3] int32 in 0..255.
    alpha: [] float, the contrast.
    beta: [] float, the brightness.

  Returns:
    [..., 3] int32 in 0..255.

  Example:
    >>> print(brightness_contrast(jnp.array([0, 100, 250]), 1.1, 0.0))
    [  0 110 255]
  """
  value = alpha * pixels + 255 * beta
  return jnp.clip(value, 0, 255).astype(jnp.int32)


def _divide(
  factor: jax.Array | int, scale: jax.Array | int, divisor: jax.Array
) -> jax.Array:
  """Computes factor * scale / divisor as OpenCV does; 0 if the divisor is 0."""
  reciprocal = jnp.round((scale << PLACES) / jnp.maximum(divisor, 1))
  product = factor * reciprocal.astype(jnp.int32)
  rounded = (product + (1 << PLACES - 1)) >> PLACES
  return jnp.where(divisor == 0, 0, rounded)


def rgb_to_hsv(pixels: jax.Array) -> jax.Array:
  """Converts RGB to 8-bit hue, saturation and value.

  Args:
    pixels: [..., 3] int32 in 0..255.

  Returns:
    [..., 3] int32: hue in 0..179 (units of two degrees), saturation and value
    in 0..255.

  Example:
    >>> print(rgb_to_hsv(jnp.array([0, 128, 128])))
    [ 90 255 128]
  """
  dtypes.check_integers(pixels, name='pixels')
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
  """Converts 8-bit hue, saturation and value to RGB, rounded down.

  This is the rounding of OpenCV's vectorized loop; its scalar loop, for the
  last columns of some widths, rounds to nearest.

  Args:
    hsv: [..., 3] int32: hue in 0..179, saturation and value in 0..255.

  Returns:
    [..., 3] int32 in 0..255.

  Example:
    >>> print(hsv_to_rgb(jnp.array([90, 255, 128])))
    [  0 128 128]
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
  # In float32 the product may be just below an integer.
  return jnp.floor(rgb + 1e-3).astype(jnp.int32)


def shift_hsv(pixels: jax.Array, shift: jax.Array) -> jax.Array:
  """Shifts hue (modulo a turn), saturation and value (clipped).

  Args:
    pixels: [..., 3] int32 in 0..255, RGB.
    shift: [3] float, in the units of `rgb_to_hsv`.

  Returns:
    [..., 3] int32 in 0..255, rounded down.

  Example:
    >>> print(shift_hsv(jnp.array([200, 100, 100]), jnp.array([60.0, 0, 0])))
    [100 200 100]
  """
  shifted = rgb_to_hsv(pixels) + shift
  # Of whole numbers: a float just below 0 would become a full turn.
  hue = jnp.mod(jnp.floor(shifted[..., :1]).astype(jnp.int32), HUES)
  rest = jnp.clip(shifted[..., 1:], 0, 255).astype(jnp.int32)
  return hsv_to_rgb(jnp.concatenate([hue, rest], -1))


def gray(pixels: jax.Array) -> jax.Array:
  """Replaces all channels by the luma (ITU-R 601).

  Args:
    pixels: [..., 3] int32 in 0..255, RGB.

  Returns:
    [..., 3] int32 in 0..255.

  Example:
    >>> print(gray(jnp.array([200, 100, 0])))
    [119 119 119]
  """
  dtypes.check_integers(pixels, name='pixels')
  r, g, b = jnp.moveaxis(pixels, -1, 0)
  value = (9798 * r + 19235 * g + 3735 * b + (1 << 14)) >> 15
  return jnp.broadcast_to(value[..., None], pixels.shape)


def binomial_blur(pixels: jax.Array, *, radius: int) -> jax.Array:
  """Blurs with a binomial kernel, OpenCV's Gaussian of 3 or 5 taps.

  Args:
    pixels: [H, W, C] int32 in 0..255; both sides longer than the radius.
    radius: 1 (kernel [1, 2, 1] / 4) or 2 (kernel [1, 4, 6, 4, 1] / 16).

  Returns:
    [H, W, C] int32 in 0..255, rounded. Borders are reflected without repeating
    the edge pixel.

  Example:
    >>> pixels = jnp.zeros((3, 3, 1), int).at[1, 1].set(160)
    >>> print(binomial_blur(pixels, radius=1)[..., 0])
    [[40 40 40]
     [40 40 40]
     [40 40 40]]
  """
  dtypes.check_integers(pixels, name='pixels')
  taps = jnp.array({1: [[1, 2, 1]], 2: [[1, 4, 6, 4, 1]]}[radius])
  total = filters.separable_filter(pixels[None], taps, taps)[0]
  places = 4 * radius
  return (total + (1 << places - 1)) >> places
