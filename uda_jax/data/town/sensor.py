"""From painted light to pixels: haze, lens, sensor, tone curve."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.town import look as look_lib

_LEVELS = 2048
# A loop of noise. Drawing it anew would cost more than all the rest here.
_LOOP = np.random.default_rng(7).normal(size=1 << 18).astype(np.float32)


def expose(
  canvas: scene.Canvas, look: look_lib.Look, random: np.random.Generator
) -> np.ndarray:
  """Returns [H, W, 3] uint8 of the painted scene."""
  height, width = canvas.label.shape
  # Plane by plane: NumPy is slow where the last axis is as short as 3.
  planes = np.ascontiguousarray(np.moveaxis(canvas.image, -1, 0))
  if look.haze:
    horizon = look.sky[1][:, None, None]
    clear = np.exp(-look.haze * np.minimum(canvas.depth, 150.0))
    clear[canvas.depth == np.inf] = 1
    planes -= horizon
    planes *= clear
    planes += horizon
  # Painted light above white is white on the film, too.
  np.clip(planes, 0, 1.1, out=planes)
  y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
  x = np.linspace(-1, 1, width, dtype=np.float32)
  planes *= 1 - np.float32(look.vignette / 2) * (x * x + y * y)
  planes = _optics(planes, look)
  gray = (planes[0] + planes[1] + planes[2]) / 3
  planes -= gray
  planes *= np.float32(look.saturation)
  planes += gray
  planes += np.float32(look.noise) * _grain(planes.shape, random)
  planes *= _LEVELS / 2
  np.clip(planes, 0, _LEVELS - 1, out=planes)
  index = planes.astype(np.uint16)
  image = np.empty((height, width, 3), np.uint8)
  for channel, tones in enumerate(_tones(look)):
    image[..., channel] = tones[index[channel]]
  return image


def _grain(
  shape: tuple[int, int, int], random: np.random.Generator
) -> np.ndarray:
  """Returns normal noise [3, H, W], a part of a loop."""
  start, count = int(random.integers(_LOOP.size)), int(np.prod(shape))
  part = _LOOP[start : start + count]
  if part.size < count:
    turns = count // _LOOP.size
    parts = [_LOOP[start:], *[_LOOP] * turns, _LOOP]
    part = np.concatenate(parts)[:count]
  return np.moveaxis(part.reshape(*shape[1:], 3), -1, 0)


def _tones(look: look_lib.Look) -> np.ndarray:
  """Returns the pixels [3, `_LEVELS`] of the levels of 0..2."""
  gains = 1 + look.warmth * np.array([[1], [0], [-1]], np.float32)
  value = gains * np.linspace(0, 2, _LEVELS, dtype=np.float32)
  value = np.clip(value, 0, 1) ** np.float32(look.gamma)
  value = (value - 0.45) * np.float32(look.contrast) + 0.45
  return (np.clip(value, 0, 1) * 255 + 0.5).astype(np.uint8)


def _optics(planes: np.ndarray, look: look_lib.Look) -> np.ndarray:
  """Blurs, and sharpens what was blurred, as cameras do."""
  if look.blur:
    planes = _taps(planes, min(0.5 * look.blur**2, 1 / 3))
  if look.sharpen:
    soft = _taps(planes, 0.25)
    planes += np.float32(look.sharpen) * (planes - soft)
  return planes


def _taps(planes: np.ndarray, side: float) -> np.ndarray:
  """Blurs with three taps an axis, the outer ones of weight `side`."""
  center, outer = np.float32(1 - 2 * side), np.float32(side)
  for axis in (1, 2):
    source = np.swapaxes(planes, 1, axis)
    beside = np.swapaxes(np.empty_like(planes), 1, axis)
    np.add(source[:, :-2], source[:, 2:], out=beside[:, 1:-1])
    np.add(source[:, 0], source[:, 1], out=beside[:, 0])
    np.add(source[:, -2], source[:, -1], out=beside[:, -1])
    beside *= outer
    beside += center * source
    planes = np.swapaxes(beside, 1, axis)
  return planes
