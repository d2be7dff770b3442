"""Styles of street scenes: palettes, light and camera, between two extremes.

The *gap* is two numbers. `local` changes palettes, textures, sky and shadows
from a clean game to a weathered town; `photometric` changes the camera: haze,
dusk light, white balance, gamma, vignette, blur, noise, contrast, saturation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CLASSES = (
  'road',
  'sidewalk',
  'building',
  'fence',
  'pole',
  'sign',
  'vegetation',
  'sky',
  'person',
  'car',
  'bicycle',
)
PALETTE = (
  (128, 64, 128),
  (244, 35, 232),
  (70, 70, 70),
  (190, 153, 153),
  (153, 153, 153),
  (220, 220, 0),
  (107, 142, 35),
  (70, 130, 180),
  (220, 20, 60),
  (0, 0, 142),
  (119, 11, 32),
)
(
  ROAD,
  SIDEWALK,
  BUILDING,
  FENCE,
  POLE,
  SIGN,
  VEGETATION,
  SKY,
  PERSON,
  CAR,
  BICYCLE,
) = range(len(CLASSES))

# Surface -> colors (0..1 RGB) that a scene picks from: in the game, and in the
# town that the camera sees. Entry i of one becomes entry i of the other.
_GAME = {
  'road': ((0.33, 0.33, 0.36), (0.38, 0.37, 0.38)),
  'mark': ((0.95, 0.95, 0.92),),
  'sidewalk': ((0.72, 0.68, 0.64), (0.78, 0.74, 0.66)),
  'grass': ((0.36, 0.66, 0.26),),
  'building': (
    (0.82, 0.52, 0.38),
    (0.88, 0.76, 0.52),
    (0.66, 0.42, 0.36),
    (0.80, 0.66, 0.56),
  ),
  'window': ((0.28, 0.40, 0.55),),
  'fence': ((0.62, 0.44, 0.26), (0.55, 0.38, 0.22)),
  'hedge': ((0.18, 0.50, 0.16),),
  'pole': ((0.46, 0.47, 0.50),),
  'sign': ((0.90, 0.12, 0.10), (0.10, 0.25, 0.80), (0.96, 0.82, 0.08)),
  'tree': ((0.16, 0.55, 0.15), (0.26, 0.62, 0.18)),
  'trunk': ((0.40, 0.26, 0.14),),
  'sky': ((0.30, 0.58, 0.95),),
  'horizon': ((0.78, 0.90, 1.00),),
  'person': ((0.85, 0.20, 0.20), (0.20, 0.30, 0.80), (0.95, 0.85, 0.25)),
  'skin': ((0.90, 0.70, 0.56),),
  'car': (
    (0.82, 0.10, 0.10),
    (0.12, 0.22, 0.72),
    (0.92, 0.92, 0.95),
    (0.95, 0.75, 0.10),
  ),
  'glass': ((0.20, 0.28, 0.34),),
  'tyre': ((0.06, 0.06, 0.07),),
  'bicycle': ((0.10, 0.10, 0.12),),
}
_CAMERA = {
  'road': ((0.46, 0.44, 0.41), (0.52, 0.48, 0.44)),
  'mark': ((0.70, 0.68, 0.62),),
  'sidewalk': ((0.55, 0.50, 0.47), (0.48, 0.46, 0.46)),
  'grass': ((0.46, 0.46, 0.28),),
  'building': (
    (0.56, 0.56, 0.52),
    (0.44, 0.40, 0.38),
    (0.64, 0.60, 0.50),
    (0.50, 0.53, 0.50),
  ),
  'window': ((0.20, 0.21, 0.22),),
  'fence': ((0.44, 0.43, 0.42), (0.34, 0.38, 0.36)),
  'hedge': ((0.24, 0.30, 0.18),),
  'pole': ((0.36, 0.35, 0.34),),
  'sign': ((0.72, 0.26, 0.22), (0.26, 0.36, 0.60), (0.72, 0.64, 0.30)),
  'tree': ((0.30, 0.36, 0.20), (0.42, 0.38, 0.20)),
  'trunk': ((0.28, 0.24, 0.22),),
  'sky': ((0.68, 0.70, 0.74),),
  'horizon': ((0.86, 0.82, 0.78),),
  'person': ((0.20, 0.20, 0.24), (0.36, 0.30, 0.28), (0.46, 0.46, 0.50)),
  'skin': ((0.66, 0.50, 0.42),),
  'car': (
    (0.30, 0.31, 0.33),
    (0.62, 0.62, 0.62),
    (0.16, 0.17, 0.20),
    (0.40, 0.22, 0.20),
  ),
  'glass': ((0.26, 0.28, 0.30),),
  'tyre': ((0.12, 0.12, 0.12),),
  'bicycle': ((0.26, 0.24, 0.24),),
}


class Style(NamedTuple):
  """A domain. All strengths are 0 in the plain game.

  Attributes:
    palette: surface -> [n, 3] float colors in 0..1.
    variety: spread of a surface's color from scene to scene.
    texture: strength of the noise on surfaces.
    clouds: strength of the noise in the sky.
    shadow: share of light that shadows take.
    grime: patches on the ground and the walls.
    haze: extinction per metre.
    light: brightness.
    warmth: shift of the white balance from blue to red.
    gamma: exponent of the tone curve.
    vignette: loss of light in the corners.
    blur: sigma in pixels at 96 rows.
    noise: sigma of the sensor's noise.
    contrast: about the middle gray.
    saturation: 1 keeps colors, 0 is gray.
  """

  palette: dict[str, np.ndarray]
  variety: float
  texture: float
  clouds: float
  shadow: float
  grime: float
  haze: float
  light: float
  warmth: float
  gamma: float
  vignette: float
  blur: float
  noise: float
  contrast: float
  saturation: float


def style(gap: tuple[float, float] = (0.0, 0.0)) -> Style:
  """Returns the style at a gap: (photometric, local), 0 = game, 1 = camera."""
  photometric, local = gap
  for value in gap:
    if not 0 <= value <= 1:
      raise ValueError(f'gap: expected two numbers in 0..1, got {gap}')
  mix = lambda t, a, b: (1 - t) * a + t * b
  palette = {
    surface: mix(local, np.array(_GAME[surface]), np.array(_CAMERA[surface]))
    for surface in _GAME
  }
  return Style(
    palette=palette,
    variety=mix(local, 0.03, 0.09),
    texture=mix(local, 0.03, 0.22),
    clouds=mix(local, 0.10, 0.35),
    shadow=mix(local, 0.20, 0.55),
    grime=mix(local, 0.0, 0.30),
    haze=mix(photometric, 0.001, 0.02),
    light=mix(photometric, 1.0, 0.8),
    warmth=mix(photometric, 0.0, 0.18),
    gamma=mix(photometric, 1.0, 1.2),
    vignette=mix(photometric, 0.0, 0.45),
    blur=mix(photometric, 0.0, 0.9),
    noise=mix(photometric, 0.004, 0.035),
    contrast=mix(photometric, 1.0, 0.75),
    saturation=mix(photometric, 1.0, 0.55),
  )
