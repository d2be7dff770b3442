"""Houses, hedges and fences along the street, painted pixel by pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.streets import style as look


class Wall(NamedTuple):
  """Rows of houses along one side, or the end of the street, by column.

  Attributes:
    depth: [W] meters to the wall in each column, inf where it has none.
    u: [W] meters along the wall.
    shade: how much light falls on it.
  """

  depth: np.ndarray
  u: np.ndarray
  shade: float


def walls(camera: scene.Camera, layout: scene.Layout, width: int) -> list[Wall]:
  """Returns where the rays of each column meet the walls."""
  slope = camera.slopes(width)
  left, right = layout.walls
  with np.errstate(divide='ignore'):
    near = np.where(slope < 0, left / slope, right / slope)
  closed = near >= layout.end
  side = np.where(closed, np.inf, near)
  end = np.where(closed, layout.end, np.inf)
  return [
    Wall(end, slope * layout.end, 0.95),
    Wall(np.where(slope < 0, side, np.inf), near, 0.8),
    Wall(np.where(slope >= 0, side, np.inf), near, 1.0),
  ]


class _Row(NamedTuple):
  """The houses of a row, some of which are gaps with trees.

  Attributes:
    edges: [K - 1] meters along the wall, between the K houses.
    tall: [K] float32 meters.
    green: [K] bool, where trees stand.
    color: [K, 3] of the walls or leaves.
    window: [K, 3] color of the panes.
    storey: [K] meters, height of a storey.
    pane: [K] meters from one window to the next.
  """

  edges: np.ndarray
  tall: np.ndarray
  green: np.ndarray
  color: np.ndarray
  window: np.ndarray
  storey: np.ndarray
  pane: np.ndarray


def _draw_row(style: look.Style, random: np.random.Generator) -> _Row:
  edges = np.cumsum(random.uniform(6, 16, 24)) - 120
  count = len(edges) + 1
  tall = random.uniform(5, 14, count).astype(np.float32)
  green = random.random(count) < 0.18
  tall[green] = random.uniform(2.5, 5, green.sum())
  leaves = scene.pick(random, style, 'hedge', count)
  plaster = scene.pick(random, style, 'building', count)
  return _Row(
    edges=edges,
    tall=tall,
    green=green,
    color=np.where(green[:, None], leaves, plaster),
    window=scene.pick(random, style, 'window', count),
    storey=random.uniform(2.6, 3.4, count),
    pane=random.uniform(1.6, 3, count),
  )


def paint_houses(
  canvas: scene.Canvas,
  camera: scene.Camera,
  wall: Wall,
  style: look.Style,
  random: np.random.Generator,
) -> None:
  """Paints a row of houses with windows, and gaps with trees between."""
  has = np.flatnonzero(np.isfinite(wall.depth))
  if not has.size:
    return
  first, last = has[0], has[-1] + 1
  depth, u = wall.depth[first:last], wall.u[first:last]
  row = _draw_row(style, random)
  house = np.searchsorted(row.edges, u)
  foot, _ = camera.project(0.0, 0.0, depth.min())  # the lowest row they reach
  rows = (
    np.arange(min(int(foot) + 2, len(canvas.label)), dtype=np.float32)[:, None]
    + 0.5
  )
  y = camera.height - (rows - camera.row) * depth / np.float32(camera.focal)
  inside = np.nonzero(
    (y >= 0)
    & (y < row.tall[house])
    & (canvas.depth[: len(rows), first:last] > depth)
  )
  # From here on only what is seen, as flat arrays.
  y, u, house, depth = (
    y[inside],
    u[inside[1]],
    house[inside[1]],
    depth[inside[1]],
  )
  v = y % row.storey[house]
  across = u % row.pane[house]
  glass = (
    (v > 0.9)
    & (v < 2.1)
    & (across > 0.4)
    & (across < 0.72 * row.pane[house])
    & ~row.green[house]
    & (y < row.tall[house] - 0.6)
  )
  base = np.where(glass[:, None], row.window[house], row.color[house])
  shade = _wall_shade(wall, style, y, u, row.green[house])
  seen = inside[0], inside[1] + first
  canvas.image[seen] = base * shade[:, None]
  kinds = np.where(row.green, look.VEGETATION, look.BUILDING).astype(np.uint8)
  canvas.label[seen] = kinds[house]
  canvas.depth[seen] = depth


def _wall_shade(
  wall: Wall,
  style: look.Style,
  y: np.ndarray,
  u: np.ndarray,
  green: np.ndarray,
) -> np.ndarray:
  """Returns the light of pixels [N] of houses, and of the trees between."""
  shade = wall.shade * (
    1
    + style.texture * scene.noise(2, y * 20, u * 20)
    + style.grime * scene.noise(0, y * 9, u * 9)
  )
  # Leaves are rougher than plaster.
  return shade + np.where(green, 0.25, 0) * scene.noise(3, y * 40, u * 40)


def paint_fences(
  canvas: scene.Canvas,
  camera: scene.Camera,
  layout: scene.Layout,
  style: look.Style,
  random: np.random.Generator,
) -> None:
  """Paints fences and hedges along the outer edge of the pavements."""
  height, width = canvas.label.shape
  slope = camera.slopes(width)
  for hand in (-1, 1):
    if random.random() < 0.35:
      continue
    near = random.uniform(3, 18)
    far = near + random.uniform(5, 20)
    distance = layout.road + layout.pavement - 0.1
    hedge = random.random() < 0.3
    tall = random.uniform(0.9, 1.6)
    (color,) = scene.pick(random, style, 'hedge' if hedge else 'fence')
    with np.errstate(divide='ignore'):
      depth = np.where(slope * hand > 0, distance / (slope * hand), np.inf)
    columns = np.flatnonzero((depth > near) & (depth < far))
    if not columns.size:
      continue
    region = np.s_[:, columns[0] : columns[-1] + 1]
    depth = depth[region[1]]
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
    y = camera.height - (rows - camera.row) * depth / np.float32(camera.focal)
    inside = (y >= 0) & (y < tall) & (canvas.depth[region] > depth)
    if hedge:
      shade = 1 + 0.3 * scene.noise(3, y * 50, depth * 30)
    else:
      post = (depth % 2.0 < 0.15) | (np.abs(y - tall + 0.1) < 0.1)
      shade = np.where(post, 1.15, 0.8 + 0.2 * (depth % 0.3 < 0.2))
      shade = shade + style.texture * scene.noise(2, y * 30, depth * 30)
    canvas.image[region][inside] = (color * shade[..., None])[inside]
    canvas.label[region][inside] = look.VEGETATION if hedge else look.FENCE
    canvas.depth[region][inside] = np.broadcast_to(depth, inside.shape)[inside]
