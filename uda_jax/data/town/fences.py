"""Railings, low walls, boards and hedges along the pavements."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.streets import style as names
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import plan
from uda_jax.data.town import textures


def paint(
  canvas: scene.Canvas,
  camera: scene.Camera,
  street: plan.Street,
  look: look_lib.Look,
  random: np.random.Generator,
) -> None:
  """Paints up to two fences or hedges on each side."""
  height, width = canvas.label.shape
  slope = (
    np.arange(width, dtype=np.float32) + 0.5 - camera.column
  ) / np.float32(camera.focal)
  for side, hand in ((0, -1), (1, 1)) * 2:
    likely = 0.4 if street.yards[side] > 1 else 0.15
    exists = random.random() < likely
    near = random.uniform(1, 25)
    far = near + random.uniform(5, 30)
    kind = random.choice(['railing', 'wall', 'board', 'hedge', 'railing'])
    at_kerb = random.random() < 0.2
    distance = abs(street.kerbs[side]) + (
      0.3 if at_kerb else street.walks[side] - 0.05
    )
    tall = random.uniform(0.8, 1.3 if at_kerb else 2.2)
    (color,) = look.pick(random, 'leaf' if kind == 'hedge' else 'fence')
    if kind == 'wall':
      (color,) = look.pick(random, 'wall')
    offset = random.integers(256)
    if not exists:
      continue
    with np.errstate(divide='ignore'):
      depth = np.where(slope * hand > 0, distance / (slope * hand), np.inf)
    columns = np.flatnonzero((depth > near) & (depth < far))
    if not columns.size:
      continue
    part = np.s_[:, columns[0] : columns[-1] + 1]
    depth = depth[part[1]]
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
    scale = depth / np.float32(camera.focal)
    y = camera.height - (rows - camera.row) * scale
    noise = textures.look_up('leafy', y * 24 + offset, depth * 24)
    top = tall + 0.12 * tall * noise if kind == 'hedge' else tall
    inside = (y >= 0) & (y < top) & (canvas.depth[part] > depth)
    cover, shade = _surface(kind, y, depth, scale, tall, noise, look)
    shade = shade * look.sides[side] * look.light
    image = canvas.image[part]
    new = image + cover[..., None] * (color * shade[..., None] - image)
    np.copyto(image, new, where=inside[..., None])
    canvas.label[part][inside] = (
      names.VEGETATION if kind == 'hedge' else names.FENCE
    )
    canvas.depth[part][inside] = np.broadcast_to(depth, inside.shape)[inside]


def _surface(kind, y, depth, scale, tall, noise, look):
  """Returns how much of what is behind goes, and the shade, of [R, C]."""
  shade = np.maximum(0.9 + 0.12 * look.texture * noise, 0.1)
  solid = np.ones(y.shape, np.float32)
  if kind == 'railing' and look.texture:
    bars = (depth % 0.25 < 0.06) | (depth % 2.0 < 0.1)
    rails = (np.abs(y - tall) < 0.1) | (np.abs(y - 0.15) < 0.05)
    # Bars that are thinner than a pixel become a veil.
    veil = np.clip(scale / 0.08, 0, 1)
    bars = (1 - veil) * bars + veil * 0.4
    return np.where(rails, 0.9, bars).astype(np.float32), shade
  if kind == 'wall' and look.texture:
    rows_ = (y % 0.15 < 0.03) * np.clip(0.05 / scale, 0, 1)
    shade = shade * (1 - 0.15 * rows_) * np.where(y > tall - 0.1, 1.3, 1)
  if kind == 'board' and look.texture:
    shade = shade * (1 - 0.2 * (depth % 0.3 < 0.05)) * (1 - 0.1 * (depth % 2))
  if kind == 'hedge':
    shade = np.maximum(0.7 + 0.25 * y / tall + 0.3 * look.texture * noise, 0.1)
  return solid, shade
