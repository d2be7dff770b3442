"""Houses along the street: walls with windows, shops, roofs and chimneys."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.streets import style as names
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import plan
from uda_jax.data.town import textures

# Meters to the wall of a column without one.
_FAR = 1e6
# Materials of a pixel.
_WALL, _GLASS, _FRAME, _BOARD, _ROOF, _DISPLAY, _BAND = range(7)


class Houses(NamedTuple):
  """All houses of a scene; every field has one entry a house.

  Attributes:
    near: z of the first corner.
    far: z of the last corner.
    front: x of the front, negative on the left; 0 across the street.
    tall: height of the walls.
    roof: height of the roof above them.
    storey: height of a storey.
    bay: distance of windows.
    pane: part of a bay that is glass.
    shop: height of the shop in the ground floor, 0 for none.
    colors: [K, 7, 3] of the materials.
  """

  near: np.ndarray
  far: np.ndarray
  front: np.ndarray
  tall: np.ndarray
  roof: np.ndarray
  storey: np.ndarray
  bay: np.ndarray
  pane: np.ndarray
  shop: np.ndarray
  colors: np.ndarray


def draw(
  random: np.random.Generator, street: plan.Street, look: look_lib.Look
) -> Houses:
  """Draws two rows of houses, and those that close the street."""
  near, far, front = [], [], []
  for side, hand in enumerate((-1, 1)):
    z = random.uniform(-8, 2)
    open_side = random.random() < 0.15
    level = random.uniform(0, 1)
    while z < street.end:
      wide = random.uniform(4, 9) if level < 0.6 else random.uniform(8, 25)
      if random.random() > (0.7 if open_side else 0.12):
        near.append(z)
        far.append(z + wide)
        back = random.choice([0.0, 0.0, 0.0, 1.0, 3.0])
        front.append(hand * (street.walls(side) + back))
      else:
        wide = random.uniform(3, 14)
      z += wide
  near.append(street.end)
  far.append(street.end + 10)
  front.append(0.0)
  count = len(near)
  between = lambda low, high: random.uniform(low, high, count)
  tall = between(5, 9.5) + np.where(random.random(count) < 0.25, 5, 0)
  tall[-1] = random.uniform(2, 9)
  surfaces = ('wall', 'glass', 'frame', 'board', 'roof', 'glass', 'wall')
  colors = [look.pick(random, surface, count) for surface in surfaces]
  colors[_DISPLAY] = colors[_DISPLAY] * random.uniform(0.8, 2, (count, 1))
  houses = Houses(
    near=np.array(near),
    far=np.array(far),
    front=np.array(front),
    tall=tall,
    roof=np.where(random.random(count) < 0.6, between(1, 3.5), 0.3),
    storey=between(2.6, 3.4),
    bay=between(1.3, 3.2),
    pane=between(0.35, 0.75),
    shop=np.where(random.random(count) < 0.5, between(3, 4), 0.0),
    colors=np.stack(colors, 1),
  )
  return Houses(*(field.astype(np.float32) for field in houses))


class Walls(NamedTuple):
  """The wall that each column of the image meets first.

  Attributes:
    depth: [W] meters, `_FAR` without a wall.
    along: [W] meters along the wall.
    house: [W] its number.
    gable: [W] whether it faces the camera.
  """

  depth: np.ndarray
  along: np.ndarray
  house: np.ndarray
  gable: np.ndarray


def meet(camera: scene.Camera, houses: Houses, width: int) -> Walls:
  """Returns where the rays of each column meet the houses."""
  slope = camera.slopes(width)
  slope = np.where(np.abs(slope) < 1e-4, np.float32(1e-4), slope)
  near, far, front = (
    field[:, None] for field in (houses.near, houses.far, houses.front)
  )
  z = front / slope
  hits = (z >= near) & (z < far) & (z > 0.5)
  fronts = np.where(hits, z, _FAR)
  x = slope * near
  same_side = x * front > 0
  beside = (np.abs(x) > np.abs(front)) & (np.abs(x) < np.abs(front) + 9)
  closes = front == 0
  hits = ((same_side & beside) | closes) & (near > 0.5)
  gables = np.where(hits, near, _FAR)
  both = np.concatenate([fronts, gables]).astype(np.float32)
  first = both.argmin(0)
  depth = both[first, np.arange(width)]
  count = len(houses.near)
  gable, house = first >= count, first % count
  along = np.where(gable, slope * depth, depth)
  return Walls(depth, along.astype(np.float32), house, gable)


def paint(
  canvas: scene.Canvas,
  camera: scene.Camera,
  houses: Houses,
  look: look_lib.Look,
  random: np.random.Generator,
) -> None:
  """Paints the houses over ground and sky."""
  height, width = canvas.label.shape
  depth, along, house, gable = meet(camera, houses, width)
  exists = depth < _FAR
  foot = camera.row + camera.focal * camera.height / depth.min()
  rows = np.arange(min(int(foot) + 2, height), dtype=np.float32)[:, None] + 0.5
  scale = (depth / np.float32(camera.focal)).astype(np.float32)
  y = np.float32(camera.height) - (rows - np.float32(camera.row)) * scale
  at = Houses(*(field[house] for field in houses))
  chimney = (along % 5.3 < 0.9) & (at.roof > 1) & ~gable
  slope = 1 - np.abs((np.abs(along) - np.abs(at.front)) / 4.5 - 1)
  slope = np.where(gable & (at.front != 0), slope, 0.8)
  top = at.tall + at.roof * slope + chimney
  inside = (y >= 0) & (y < top) & exists
  material = _materials(y, along, at, gable, scale, look)
  light = np.where(gable, look.sides[2], look.sides[0])
  light = np.where(~gable & (at.front > 0), look.sides[1], light) * look.light
  light = light.astype(np.float32)
  offset = random.integers(256, size=2)
  fine = np.clip(14 / depth, 0.2, 1).astype(np.float32)
  stains = textures.look_up('stained', y * 14 + offset[0], along * 14)
  rough = textures.look_up('rough', y * 90 + offset[1], along * 90)
  shade = 1 + look.texture * (0.08 * stains + 0.07 * fine * rough)
  shade *= light * (1 - look.fade * np.clip(1 - y / 7, 0, 1))
  # The shadow of the houses on the other side.
  edge = random.uniform(-2, 10) + 2 * np.sin(along * random.uniform(0.2, 1))
  shade *= np.where(y < edge, np.float32(1 - 0.6 * look.shadow), 1)
  shade = np.maximum(shade, 0.05)
  part = np.s_[: len(rows)]
  for channel in range(3):
    color = houses.colors[..., channel][house, material]
    np.copyto(canvas.image[part][..., channel], color * shade, where=inside)
  canvas.label[part][inside] = names.BUILDING
  np.copyto(canvas.depth[part], depth, where=inside)


def _materials(y, along, at, gable, scale, look) -> np.ndarray:
  """Returns the material of each pixel of the walls."""
  if look.texture == 0:
    return np.where(y > at.tall, _ROOF, _WALL).astype(np.uint8)
  across = (along % at.bay) / at.bay
  floor = y - at.shop
  level = (floor % at.storey) / at.storey
  # A frame is never thinner than most of a pixel.
  edge = np.maximum(0.08, 0.6 * scale)
  beside = np.abs(across - 0.5) - at.pane / 2
  above = np.abs(level - 0.55) - 0.25
  blank = gable & (at.front != 0)
  window = (beside < 0) & (above < 0) & (floor > 0) & (y < at.tall - 0.4)
  inner = (beside < -edge / at.bay) & (above < -edge / at.storey)
  material = np.zeros(y.shape, np.uint8)
  material[window & ~blank] = _FRAME
  material[window & inner & ~blank] = _GLASS
  shop = (y < at.shop) & ~blank
  display = (y > 0.4) & (np.abs((along % (2 * at.bay)) - at.bay) > 0.15)
  material[shop] = np.where(display, _DISPLAY, _FRAME)[shop]
  material[shop & (y > at.shop - 0.75)] = _BOARD
  material[(np.abs(y - at.tall) < 0.2) | (np.abs(floor) < 0.12)] = _BAND
  material[y > at.tall] = _ROOF
  return material
