"""From painted light to pixels: haze, lens, sensor, tone curve."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.town import look as look_lib

_LEVELS = 2048
_GRAIN = np.random.default_rng(7).normal(size=1 << 18).astype(np.float32)


def expose(
  canvas: scene.Canvas, look: look_lib.Look, random: np.random.Generator
) -> np.ndarray:
  """Returns [H, W, 3] uint8 of the painted scene, whose image it changes."""
  image = canvas.image
  height, width = canvas.label.shape
  clear = np.exp(-look.haze * np.minimum(canvas.depth, 150.0))
  clear[canvas.depth == np.inf] = 1
  image -= look.sky[1]
  image *= clear[..., None]
  image += look.sky[1]
  # Painted light above white is white on the film, too.
  np.clip(image, 0, 1.1, out=image)
  y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
  x = np.linspace(-1, 1, width, dtype=np.float32)
  corner = 1 - np.float32(look.vignette / 2) * (x * x + y * y)
  image *= corner[..., None]
  image = _optics(image, look)
  red, green, blue = np.moveaxis(image, -1, 0)
  gray = ((red + green + blue) / 3)[..., None]
  image -= gray
  image *= np.float32(look.saturation)
  image += gray
  image += np.float32(look.noise) * _grain(image.shape, random)
  image *= _LEVELS / 2
  np.clip(image, 0, _LEVELS - 1, out=image)
  index = image.astype(np.uint16)
  index += np.arange(3, dtype=np.uint16) * _LEVELS
  return np.take(_tones(look), index)


def _grain(
  shape: tuple[int, int, int], random: np.random.Generator
) -> np.ndarray:
  """Returns normal noise, a part of a loop."""
  start = int(random.integers(_GRAIN.size))
  stop = start + int(np.prod(shape))
  loop = np.tile(_GRAIN, -(-stop // _GRAIN.size))
  return loop[start:stop].reshape(shape)


def _tones(look: look_lib.Look) -> np.ndarray:
  """Returns the pixels of `_LEVELS` levels, 0..2, of red, green and blue."""
  gains = 1 + look.warmth * np.float32([[1], [0], [-1]])
  value = gains * np.linspace(0, 2, _LEVELS, dtype=np.float32)
  value = np.clip(value, 0, 1) ** np.float32(look.gamma)
  value = (value - 0.45) * np.float32(look.contrast) + 0.45
  return (np.clip(value, 0, 1) * 255 + 0.5).astype(np.uint8).ravel()


def _optics(image: np.ndarray, look: look_lib.Look) -> np.ndarray:
  """Blurs, and sharpens what was blurred, as cameras do."""
  if look.blur:
    image = _taps(image, min(0.5 * look.blur**2, 1 / 3))
  if look.sharpen:
    soft = _taps(image, 0.25)
    image += np.float32(look.sharpen) * (image - soft)
  return image


def _taps(image: np.ndarray, side: float) -> np.ndarray:
  """Blurs with three taps an axis."""
  side, center = np.float32(side), np.float32(1 - 2 * side)
  padded = np.pad(image, ((1, 1), (0, 0), (0, 0)), 'edge')
  rows = center * image
  rows += side * (padded[:-2] + padded[2:])
  padded = np.pad(rows, ((0, 0), (1, 1), (0, 0)), 'edge')
  rows *= center
  rows += side * (padded[:, :-2] + padded[:, 2:])
  return rows
