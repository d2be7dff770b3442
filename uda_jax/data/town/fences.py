"""Railings, low walls, boards and hedges along the pavements."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.streets import style as names
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import plan
from uda_jax.data.town import textures


class Fence(NamedTuple):
  """One fence or hedge.

  Attributes:
    kind: 'railing', 'wall', 'board' or 'hedge'.
    x: where it stands, negative on the left.
    near: z of its first end.
    far: z of its last end.
    tall: its height.
    color: before light falls on it.
    light: that falls on it.
    offset: of its texture.
  """

  kind: str
  x: float
  near: float
  far: float
  tall: float
  color: np.ndarray
  light: float
  offset: np.int64


def paint(
  canvas: scene.Canvas,
  camera: scene.Camera,
  street: plan.Street,
  look: look_lib.Look,
  random: np.random.Generator,
) -> None:
  """Paints up to two fences or hedges on each side."""
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
    light = look.sides[side] * look.light
    fence = Fence(kind, hand * distance, near, far, tall, color, light, offset)
    if exists:
      _paint(canvas, camera, fence, look)


def _paint(canvas, camera, fence, look) -> None:
  """Paints one fence where nothing nearer stands."""
  height, width = canvas.label.shape
  slope = camera.slopes(width)
  hand = np.sign(fence.x)
  with np.errstate(divide='ignore'):
    depth = np.where(slope * hand > 0, abs(fence.x) / (slope * hand), np.inf)
  columns = np.flatnonzero((depth > fence.near) & (depth < fence.far))
  if not columns.size:
    return
  depth = depth[columns[0] : columns[-1] + 1]
  low, _ = camera.project(0.0, 0.0, depth.min())
  high, _ = camera.project(0.0, 2.0 * fence.tall, depth.min())
  first = max(int(min(high, camera.row)) - 1, 0)
  last = min(int(low) + 2, height)
  part = np.s_[first:last, columns[0] : columns[-1] + 1]
  rows = np.arange(first, last, dtype=np.float32)[:, None] + 0.5
  scale = depth / np.float32(camera.focal)
  y = camera.height - (rows - camera.row) * scale
  noise = textures.look_up('leafy', y * 24 + fence.offset, depth * 24)
  hedge = fence.kind == 'hedge'
  top = fence.tall + 0.12 * fence.tall * noise if hedge else fence.tall
  inside = (y >= 0) & (y < top) & (canvas.depth[part] > depth)
  cover, shade = _surface(fence.kind, y, depth, scale, fence.tall, noise, look)
  shade = shade * fence.light
  for channel in range(3):
    image = canvas.image[part][..., channel]
    new = image + cover * (fence.color[channel] * shade - image)
    np.copyto(image, new, where=inside)
  canvas.label[part][inside] = names.VEGETATION if hedge else names.FENCE
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
