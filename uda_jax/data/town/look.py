"""Looks of a town: colors, light and camera of one scene, drawn at random.

The labels are those of the rendered streets, except that a rider counts with
the bicycle, as in CamVid.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

# What `without` leaves out, to measure what it gives.
PARTS = ('textures', 'light', 'colors', 'camera')

# Surface -> colors (0..1 RGB) that a scene picks from. Road and pavement have
# the same, so that a network cannot tell them apart by color.
_STONE = (
  (0.40, 0.41, 0.43),
  (0.47, 0.47, 0.47),
  (0.36, 0.36, 0.37),
  (0.50, 0.48, 0.45),
  (0.44, 0.40, 0.38),
)
_PALETTE = {
  'road': _STONE[:4],
  'pavement': _STONE,
  'paint': ((0.86, 0.86, 0.84), (0.72, 0.72, 0.70)),
  'yellow': ((0.72, 0.62, 0.30),),
  'grass': ((0.36, 0.42, 0.20), (0.30, 0.40, 0.18), (0.46, 0.45, 0.28)),
  'wall': (
    (0.55, 0.48, 0.36),
    (0.48, 0.30, 0.22),
    (0.40, 0.33, 0.28),
    (0.78, 0.76, 0.70),
    (0.62, 0.58, 0.50),
    (0.36, 0.34, 0.33),
    (0.66, 0.58, 0.42),
    (0.50, 0.50, 0.50),
  ),
  'glass': ((0.14, 0.15, 0.17), (0.24, 0.26, 0.28), (0.40, 0.44, 0.48)),
  'frame': ((0.84, 0.84, 0.82), (0.60, 0.58, 0.54), (0.22, 0.20, 0.20)),
  'board': (
    (0.12, 0.18, 0.48),
    (0.56, 0.12, 0.12),
    (0.10, 0.12, 0.12),
    (0.80, 0.78, 0.74),
    (0.14, 0.34, 0.24),
    (0.86, 0.60, 0.14),
    (0.30, 0.30, 0.32),
  ),
  'roof': ((0.30, 0.30, 0.33), (0.38, 0.28, 0.24), (0.46, 0.44, 0.42)),
  'fence': (
    (0.12, 0.13, 0.13),
    (0.46, 0.34, 0.26),
    (0.56, 0.54, 0.50),
    (0.40, 0.28, 0.22),
    (0.62, 0.66, 0.66),
  ),
  'pole': (
    (0.30, 0.31, 0.32),
    (0.48, 0.49, 0.50),
    (0.14, 0.14, 0.15),
    (0.60, 0.60, 0.60),
  ),
  'sign': (
    (0.70, 0.10, 0.10),
    (0.10, 0.22, 0.58),
    (0.84, 0.84, 0.82),
    (0.82, 0.66, 0.14),
    (0.12, 0.36, 0.24),
    (0.16, 0.16, 0.17),
  ),
  'leaf': (
    (0.16, 0.20, 0.12),
    (0.24, 0.28, 0.14),
    (0.30, 0.32, 0.20),
    (0.12, 0.14, 0.10),
  ),
  'twig': ((0.30, 0.27, 0.25), (0.38, 0.34, 0.30), (0.26, 0.24, 0.20)),
  'cloth': (
    (0.10, 0.10, 0.12),
    (0.16, 0.18, 0.24),
    (0.24, 0.22, 0.22),
    (0.14, 0.14, 0.14),
    (0.46, 0.44, 0.42),
    (0.44, 0.14, 0.14),
    (0.62, 0.60, 0.58),
  ),
  'skin': ((0.62, 0.46, 0.38), (0.42, 0.30, 0.24)),
  'car': (
    (0.62, 0.63, 0.65),
    (0.16, 0.17, 0.19),
    (0.30, 0.32, 0.36),
    (0.14, 0.20, 0.38),
    (0.46, 0.10, 0.10),
    (0.82, 0.82, 0.82),
    (0.12, 0.26, 0.20),
  ),
  'tyre': ((0.06, 0.06, 0.07),),
}
_COLORS = {
  surface: np.array(colors, np.float32) for surface, colors in _PALETTE.items()
}


class Look(NamedTuple):
  """Look of one scene.

  Attributes:
    texture: strength of noise and patterns on surfaces.
    variety: spread of the colors.
    light: of everything but the sky; a camera that exposes for streets under a
      bright sky shows them darker.
    sides: light on the walls to the left, to the right and across.
    shadow: share of the light that shadows take.
    fade: share of the light that a wall loses towards its foot.
    haze: extinction per meter.
    sky: [2, 3] colors at the top and at the horizon.
    clouds: strength of the clouds.
    warmth: shift of the white balance from blue to red.
    contrast: about a middle gray.
    gamma: of the tone curve.
    saturation: 1 keeps colors, 0 is gray.
    vignette: loss of light in the corners.
    blur: sigma of the optics in pixels.
    sharpen: of the camera's sharpening.
    noise: sigma of the sensor's noise.
  """

  texture: float
  variety: float
  light: float
  sides: tuple[float, float, float]
  shadow: float
  fade: float
  haze: float
  sky: np.ndarray
  clouds: float
  warmth: float
  contrast: float
  gamma: float
  saturation: float
  vignette: float
  blur: float
  sharpen: float
  noise: float

  def pick(
    self, random: np.random.Generator, surface: str, count: int = 1
  ) -> np.ndarray:
    """Draws colors of a surface: [count, 3] float32 in 0..1."""
    palette = _COLORS[surface]
    color = palette[random.integers(len(palette), size=count)]
    draws = random.standard_normal((count, 4), np.float32)
    draws *= np.float32(self.variety)
    color *= np.exp(1.4 * draws[:, :1])
    color *= 1 + 0.2 * draws[:, 1:]
    return np.minimum(np.maximum(color, 0.02), 0.95)


# What a look without a part has instead.
_LEFT_OUT: dict[str, dict[str, Any]] = {
  'textures': dict(texture=0.0, clouds=0.0),
  'light': dict(light=1.0, sides=(1.0, 1.0, 1.0), shadow=0.0, fade=0.0),
  'colors': dict(variety=0.0),
  'camera': dict(
    haze=0.0,
    warmth=0.0,
    contrast=1.0,
    gamma=1.0,
    saturation=1.0,
    vignette=0.0,
    blur=0.0,
    sharpen=0.0,
    noise=0.0,
  ),
}


def draw(random: np.random.Generator, without: Collection[str] = ()) -> Look:
  """Draws a look.

  Args:
    random: the scene's generator. It makes the same draws for any `without`.
    without: some of `PARTS`, which are left out.

  Returns:
    The look.
  """
  between = random.uniform
  sides = between(0.6, 1.1, 3)
  blue = between(0, 1) ** 2
  top = np.array([0.97, 0.98, 1.0]) - blue * np.array([0.50, 0.32, 0.08])
  horizon = np.array([0.98, 0.98, 0.98]) - blue * between(0, 0.12, 3)
  look = Look(
    texture=between(0.5, 1.4),
    variety=between(0.1, 0.35),
    light=between(0.5, 1.05),
    sides=tuple(sides),
    shadow=between(0, 0.6),
    fade=between(0, 0.4),
    haze=between(0, 0.006),
    sky=np.stack([top, horizon]).astype(np.float32) * between(0.86, 1.15),
    clouds=between(0, 0.18),
    warmth=between(-0.08, 0.08),
    contrast=between(0.85, 1.15),
    gamma=between(0.75, 1.15),
    saturation=between(0.4, 1.1),
    vignette=between(0, 0.2),
    blur=between(0.2, 0.7),
    sharpen=max(0, between(-0.5, 0.8)),
    noise=between(0.003, 0.02),
  )
  for part in without:
    look = look._replace(**_LEFT_OUT[part])
  return look
