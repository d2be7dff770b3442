"""Green and bare trees, bushes, and what grows at the end of the street."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import objects
from uda_jax.data.streets import scene
from uda_jax.data.streets import style as names
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import textures


class Brush(objects.Brush):
  """A brush that also paints what one can see through."""

  def veil(
    self, shape: np.ndarray, color: np.ndarray, label: int, cover: np.ndarray
  ) -> None:
    """Paints where `shape` is true; `cover` (0..1) of what is behind goes."""
    where = (shape & self.free).nonzero()
    part = cover[where][:, None]
    self._image[where] += part * (color - self._image[where])
    self._label[where] = label
    self._depth[where] = self._z


def tree(
  canvas: scene.Canvas,
  camera: scene.Camera,
  look: look_lib.Look,
  random: np.random.Generator,
  x: float,
  z: float,
) -> None:
  """Paints a trunk and a crown, bare more often than green."""
  tall, wide = random.uniform(5, 13), random.uniform(1.8, 4.5)
  bare = random.random() < 0.6
  brush = Brush(canvas, camera, x, z, (wide * 1.4, tall))
  offset = random.integers(256, size=3)
  lean, thick = random.uniform(-0.03, 0.03), random.uniform(0.12, 0.3)
  crown = tall * random.uniform(0.55, 0.65)
  (leaf,), (twig,) = look.pick(random, 'leaf'), look.pick(random, 'twig')
  if brush.empty:
    return
  light = np.float32(look.light)
  half = np.maximum(thick * (1 - brush.y / tall), brush.pixel)
  trunk = (np.abs(brush.x - lean * brush.y) < half) & (brush.y > 0)
  trunk &= brush.y < (0.9 if bare else 0.6) * tall
  brush.fill(trunk, twig * light, names.VEGETATION)
  ragged = textures.look_up(
    'leafy', brush.y * 9 + offset[0], brush.x * 9 + offset[1]
  )
  bulk = (brush.x / wide) ** 2 + ((brush.y - crown) / (tall - crown)) ** 2
  shape = bulk < 1 + 0.22 * ragged
  if not bare:
    shade = light * (
      0.9
      + 0.25 * (brush.y - crown) / (tall - crown)
      + 0.28
      * look.texture
      * textures.look_up('leafy', brush.y * 30 + offset[2], brush.x * 30)
    )
    brush.fill(shape, leaf, names.VEGETATION, np.maximum(shade, 0.1))
    return
  twigs = textures.look_up('twigs', brush.y * 22 + offset[2], brush.x * 22)
  # Far away twigs merge to a veil.
  merged = min(1.0, brush.pixel / 0.06)
  cover = (1 - merged) * twigs + merged * 0.5
  cover = cover * np.clip(1.5 - 0.9 * bulk, 0.3, 1)
  if not look.texture:
    cover = np.full(shape.shape, 0.8)
  cover = cover.astype(np.float32)
  brush.veil(shape, twig * light, names.VEGETATION, cover)


def bush(canvas, camera, look, random, x, z) -> None:
  """Paints a bush."""
  tall, wide = random.uniform(0.8, 2.6), random.uniform(0.7, 2.5)
  brush = Brush(canvas, camera, x, z, (wide * 1.3, tall * 1.3))
  offset = random.integers(256, size=2)
  (leaf,) = look.pick(random, 'leaf')
  if brush.empty:
    return
  ragged = textures.look_up(
    'leafy', brush.y * 20 + offset[0], brush.x * 20 + offset[1]
  )
  shape = (brush.x / wide) ** 2 + (brush.y / tall) ** 2 < 1 + 0.2 * ragged
  shape &= brush.y > 0
  shade = look.light * (0.75 + 0.3 * brush.y / tall)
  shade = shade * (1 + 0.25 * look.texture * ragged)
  brush.fill(shape, leaf, names.VEGETATION, np.maximum(shade, 0.1))


def paint_backdrop(
  canvas: scene.Canvas,
  camera: scene.Camera,
  look: look_lib.Look,
  random: np.random.Generator,
  end: float,
) -> None:
  """Paints roofs and trees on the horizon, before anything else stands."""
  width = canvas.label.shape[1]
  columns = np.arange(width)
  for kind, label in (
    ('wall', names.BUILDING),
    ('leaf', names.VEGETATION),
    ('twig', names.VEGETATION),
  ):
    level, ragged = random.uniform(-3, 9), random.uniform(0.5, 2.5)
    offset, steps = random.integers(256, size=2), random.uniform(8, 40)
    (color,) = look.pick(random, kind)
    if kind == 'wall':
      at = (columns / steps).astype(int) + offset[0]
      profile = textures.look_up('rough', at, at * 0 + offset[1])
    else:
      at = columns * (0.6 if kind == 'twig' else 0.3) + offset[0]
      profile = textures.look_up('leafy', at, at * 0 + offset[1])
    scale = camera.focal / (end + 15)
    top = camera.row - scale * (level + ragged * profile)
    low = int(camera.row + 1)
    first = max(int(top.min()), 0)
    if first >= low:
      continue
    rows = np.arange(first, low)[:, None]
    inside = rows + 0.5 > top
    part = np.s_[first:low]
    shade = look.light * (
      1
      + 0.2
      * look.texture
      * textures.look_up('leafy', rows * 0.9 + offset[1], columns * 0.9)
    )
    cover = inside * np.float32(0.65 if kind == 'twig' else 1.0)
    image = canvas.image[part]
    image += cover[..., None] * (color * shade[..., None] - image)
    canvas.label[part][inside] = label
    canvas.depth[part][inside] = end + 15
