"""Camera effects on a painted scene: haze, light, optics, sensor."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import style as style_lib


def expose(
  image: np.ndarray,
  depth: np.ndarray,
  horizon: np.ndarray,
  style: style_lib.Style,
  random: np.random.Generator,
) -> np.ndarray:
  """Turns painted colors into pixels.

  Args:
    image: [H, W, 3] float32 in 0..1.
    depth: [H, W] float32 meters, inf in the sky.
    horizon: [3] color of the haze.
    style: of the domain.
    random: the scene's generator.

  Returns:
    [H, W, 3] uint8.
  """
  size = image.shape[:2]
  jitter = lambda amount: 1 + amount * random.uniform(-1, 1)
  clear = np.exp(-style.haze * jitter(0.4) * np.minimum(depth, 80.0))
  # In place throughout: new arrays would cost more than the arithmetic.
  image = image - horizon
  image *= clear[..., None]
  image += horizon
  red, green, blue = np.moveaxis(image, -1, 0)
  gray = ((red + green + blue) / 3)[..., None]
  image -= gray
  image *= style.saturation
  image += gray
  warm = style.warmth * jitter(0.6)
  gain = style.light * jitter(0.12) * np.array([1 + warm, 1, 1 - warm])
  image *= gain.astype(np.float32)
  y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
  x = np.linspace(-1, 1, size[1], dtype=np.float32)
  image *= (1 - style.vignette * 0.5 * (x * x + y * y))[..., None]
  image -= 0.5
  image *= style.contrast
  image += 0.5
  image = _blur(image, style.blur * jitter(0.3) * size[0] / 96)
  # A short loop of noise, shifted at random: drawing it anew would cost more
  # than all the rest.
  image += style.noise * _grain(size, random)
  np.clip(image, 0, 1, out=image)
  image **= np.float32(style.gamma * jitter(0.1))
  image *= 255
  image += 0.5
  return image.astype(np.uint8)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
  """Blurs with three taps an axis, enough for the small sigmas here."""
  if sigma < 0.1:
    return image
  side = np.float32(min(0.5 * sigma * sigma, 1 / 3))
  for axis in (0, 1):
    before, after = (np.roll(image, shift, axis) for shift in (1, -1))
    # The edge is its own neighbor.
    for rolled, edge in ((before, 0), (after, -1)):
      np.moveaxis(rolled, axis, 0)[edge] = np.moveaxis(image, axis, 0)[edge]
    image = (1 - 2 * side) * image + side * (before + after)
  return image


_GRAIN = np.random.default_rng(7).normal(size=(1 << 18,)).astype(np.float32)


def _grain(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
  count = size[0] * size[1] * 3
  start = int(random.integers(0, _GRAIN.size))
  tiles = -(-(start + count) // _GRAIN.size)
  grain = np.tile(_GRAIN, tiles) if tiles > 1 else _GRAIN
  return grain[start : start + count].reshape(*size, 3)
