"""The town: street, walls and sky, each pixel by the ray that reaches it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uda_jax.data.streets import style as look


class Canvas(NamedTuple):
  """A scene while it is painted.

  Attributes:
    image: [H, W, 3] float32 colours.
    label: [H, W] uint8 classes.
    depth: [H, W] float32 metres to what is seen, inf in the sky.
  """

  image: np.ndarray
  label: np.ndarray
  depth: np.ndarray


class Camera(NamedTuple):
  """A pin-hole camera that looks along the street.

  Attributes:
    focal: in pixels.
    height: above the ground, metres.
    row: of the horizon.
    column: of the vanishing point.
  """

  focal: float
  height: float
  row: float
  column: float

  def project(self, x: float, y: float, z: float) -> tuple[float, float]:
    """Row and column of a point: x to the right, y up from the ground."""
    return (
      self.row + self.focal * (self.height - y) / z,
      self.column + self.focal * x / z,
    )


class Layout(NamedTuple):
  """Where the street is, in metres from its middle.

  Attributes:
    road: half the width of the road.
    pavement: its width, on either side.
    walls: distance of the left and right row of walls.
    end: distance of the wall that closes the street.
  """

  road: float
  pavement: float
  walls: tuple[float, float]
  end: float


def draw_camera(random: np.random.Generator, size: tuple[int, int]) -> Camera:
  """Draws where the camera looks."""
  height, width = size
  return Camera(
    focal=width * random.uniform(0.5, 0.7),
    height=random.uniform(1.2, 1.6),
    row=height * random.uniform(0.38, 0.48),
    column=width * random.uniform(0.38, 0.62),
  )


def draw_layout(random: np.random.Generator) -> Layout:
  """Draws a street."""
  road, pavement = random.uniform(3.2, 5.5), random.uniform(1.6, 3.2)
  walls = tuple(
    -(road + pavement + gap) if side < 0 else road + pavement + gap
    for side, gap in zip(
      (-1, 1),
      random.choice([0.0, 0.0, 2.0, 5.0], 2) + random.uniform(0, 0.5, 2),
    )
  )
  return Layout(road, pavement, walls, random.uniform(35, 90))


def _noise_bank() -> np.ndarray:
  """Four maps of tiling value noise in -1..1, from coarse to fine."""
  random = np.random.default_rng(3)
  maps = []
  for cells in (4, 8, 16, 64):
    grid = random.uniform(-1, 1, (cells, cells))
    at = np.arange(256) * cells / 256
    low, part = at.astype(int), at % 1
    high = (low + 1) % cells
    rows = grid[low] * (1 - part)[:, None] + grid[high] * part[:, None]
    maps.append(rows[:, low] * (1 - part) + rows[:, high] * part)
  return np.stack(maps).astype(np.float32)


NOISE = _noise_bank()


def noise(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """Looks noise up at texture coordinates (any floats, 1 tile = 256)."""
  return NOISE[kind][u.astype(np.int32) & 255, v.astype(np.int32) & 255]


def pick(
  random: np.random.Generator, style: look.Style, surface: str, count: int = 1
) -> np.ndarray:
  """Draws colours of a surface: [count, 3] float32 in 0..1."""
  colors = style.palette[surface]
  color = colors[random.integers(len(colors), size=count)]
  noise_ = random.normal(size=(count, 4))
  color *= 1 + style.variety * noise_[:, :1]
  color += 0.4 * style.variety * noise_[:, 1:]
  return np.minimum(np.maximum(color, 0), 1).astype(np.float32)


def paint_sky(
  canvas: Canvas, camera: Camera, style: look.Style, random: np.random.Generator
) -> np.ndarray:
  """Fills everything with sky; returns the colour of the horizon."""
  height, width = canvas.label.shape
  (top,) = pick(random, style, 'sky')
  (horizon,) = pick(random, style, 'horizon')
  rise = np.clip(1 - np.arange(height) / max(camera.row, 1), 0, 1)
  rows = horizon + rise.astype(np.float32)[:, None] * (top - horizon)
  stretch = 2.0 * 96 / height
  clouds = noise(
    1,
    np.arange(height)[:, None] * stretch * 2 + random.integers(256),
    np.arange(width)[None] * stretch + random.integers(256),
  )
  canvas.image[:] = rows[:, None] + (style.clouds * 0.5 * clouds)[..., None]
  canvas.label[:] = look.SKY
  canvas.depth[:] = np.inf
  return horizon


def paint_ground(
  canvas: Canvas,
  camera: Camera,
  layout: Layout,
  style: look.Style,
  random: np.random.Generator,
) -> None:
  """Paints road with marks, pavement, kerbs and grass below the horizon."""
  height, width = canvas.label.shape
  first = int(np.floor(camera.row)) + 1
  rows = np.arange(first, height, dtype=np.float32) + 0.5
  z = (camera.focal * camera.height / (rows - camera.row))[:, None]
  x = (np.arange(width, dtype=np.float32) + 0.5 - camera.column) * (
    z / np.float32(camera.focal)
  )
  side = np.abs(x)
  road = side < layout.road
  pavement = ~road & (side < layout.road + layout.pavement)
  grass = ~road & ~pavement
  colors = np.concatenate(
    [pick(random, style, s) for s in ('road', 'sidewalk', 'grass', 'mark')]
  )
  kind = np.where(road, 0, np.where(pavement, 1, 2))
  offset = random.integers(256, size=2)
  dash = random.uniform(4, 8)
  lane = random.choice([0.0, layout.road / 3])
  mark = road & (z % dash < 0.5 * dash) & (np.abs(side - lane) < 0.09)
  mark |= road & (np.abs(side - layout.road + 0.25) < 0.07)
  if random.random() < 0.3:  # a zebra crossing
    at = random.uniform(7, 25)
    mark |= road & (np.abs(z - at) < 1.5) & (x % 1.0 < 0.5)
  kind[mark & (z < 40)] = 3
  # A side street cuts through the pavement.
  if random.random() < 0.4:
    at, hand = random.uniform(10, 35), random.choice([-1, 1])
    crossing = (np.abs(z - at) < 2.5) & (x * hand > layout.road)
    kind[crossing & pavement] = 0
    road, pavement = road | (crossing & pavement), pavement & ~crossing
  shade = 1 + style.texture * noise(3, x * 24 + offset[0], z * 24)
  shade += style.grime * noise(1, x * 14 + offset[1], z * 5)
  shade *= np.where(np.abs(side - layout.road) < 0.08, 0.75, 1.0)  # kerb
  # The walls on one side throw a shadow over part of the street.
  reach = random.uniform(-layout.road, layout.road)
  sun = random.choice([-1, 1])
  shade *= np.where(x * sun > reach, 1.0, 1 - style.shadow).astype(np.float32)
  canvas.image[first:] = colors[kind] * shade[..., None]
  canvas.label[first:] = np.where(
    road, look.ROAD, np.where(pavement, look.SIDEWALK, look.VEGETATION)
  )
  canvas.label[first:][grass & (kind == 2)] = look.VEGETATION
  canvas.depth[first:] = z


class Wall(NamedTuple):
  """Rows of houses along one side, or the end of the street, by column.

  Attributes:
    depth: [W] metres to the wall in each column, inf where it has none.
    u: [W] metres along the wall.
    shade: how much light falls on it.
  """

  depth: np.ndarray
  u: np.ndarray
  shade: float


def walls(camera: Camera, layout: Layout, width: int) -> list[Wall]:
  """Where the rays of each column meet the walls."""
  tangent = (
    np.arange(width, dtype=np.float32) + 0.5 - camera.column
  ) / np.float32(camera.focal)
  left, right = layout.walls
  with np.errstate(divide='ignore'):
    near = np.where(tangent < 0, left / tangent, right / tangent)
  closed = near >= layout.end
  side = np.where(closed, np.inf, near)
  end = np.where(closed, layout.end, np.inf)
  return [
    Wall(end, tangent * layout.end, 0.95),
    Wall(np.where(tangent < 0, side, np.inf), near, 0.8),
    Wall(np.where(tangent >= 0, side, np.inf), near, 1.0),
  ]


def paint_houses(
  canvas: Canvas,
  camera: Camera,
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
  edges = np.cumsum(random.uniform(6, 16, 24)) - 120
  house = np.searchsorted(edges, u)
  count = len(edges) + 1
  tall = random.uniform(5, 14, count).astype(np.float32)
  green = random.random(count) < 0.18
  tall[green] = random.uniform(2.5, 5, green.sum())
  colors = np.where(
    green[:, None],
    pick(random, style, 'hedge', count),
    pick(random, style, 'building', count),
  )
  window = pick(random, style, 'window', count)
  storey, pane = random.uniform(2.6, 3.4, count), random.uniform(1.6, 3, count)
  foot, _ = camera.project(0.0, 0.0, depth.min())  # the lowest row they reach
  rows = (
    np.arange(min(int(foot) + 2, len(canvas.label)), dtype=np.float32)[:, None]
    + 0.5
  )
  y = camera.height - (rows - camera.row) * depth / np.float32(camera.focal)
  inside = np.nonzero(
    (y >= 0)
    & (y < tall[house])
    & (canvas.depth[: len(rows), first:last] > depth)
  )
  # From here on only what is seen, as flat arrays.
  y, u, house, depth = (
    y[inside],
    u[inside[1]],
    house[inside[1]],
    depth[inside[1]],
  )
  v = y % storey[house]
  across = u % pane[house]
  glass = (
    (v > 0.9)
    & (v < 2.1)
    & (across > 0.4)
    & (across < 0.72 * pane[house])
    & ~green[house]
    & (y < tall[house] - 0.6)
  )
  base = np.where(glass[:, None], window[house], colors[house])
  shade = wall.shade * (
    1
    + style.texture * noise(2, y * 20, u * 20)
    + style.grime * noise(0, y * 9, u * 9)
  )
  # Leaves are rougher than plaster.
  shade += np.where(green[house], 0.25, 0) * noise(3, y * 40, u * 40)
  seen = inside[0], inside[1] + first
  canvas.image[seen] = base * shade[:, None]
  kinds = np.where(green, look.VEGETATION, look.BUILDING).astype(np.uint8)
  canvas.label[seen] = kinds[house]
  canvas.depth[seen] = depth


def paint_fences(
  canvas: Canvas,
  camera: Camera,
  layout: Layout,
  style: look.Style,
  random: np.random.Generator,
) -> None:
  """Paints fences and hedges along the outer edge of the pavements."""
  height, width = canvas.label.shape
  tangent = (
    np.arange(width, dtype=np.float32) + 0.5 - camera.column
  ) / np.float32(camera.focal)
  for hand in (-1, 1):
    if random.random() < 0.35:
      continue
    near = random.uniform(3, 18)
    far = near + random.uniform(5, 20)
    distance = layout.road + layout.pavement - 0.1
    hedge = random.random() < 0.3
    tall = random.uniform(0.9, 1.6)
    (color,) = pick(random, style, 'hedge' if hedge else 'fence')
    with np.errstate(divide='ignore'):
      depth = np.where(tangent * hand > 0, distance / (tangent * hand), np.inf)
    columns = np.flatnonzero((depth > near) & (depth < far))
    if not columns.size:
      continue
    region = np.s_[:, columns[0] : columns[-1] + 1]
    depth = depth[region[1]]
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.5
    y = camera.height - (rows - camera.row) * depth / np.float32(camera.focal)
    inside = (y >= 0) & (y < tall) & (canvas.depth[region] > depth)
    if hedge:
      shade = 1 + 0.3 * noise(3, y * 50, depth * 30)
    else:
      post = (depth % 2.0 < 0.15) | (np.abs(y - tall + 0.1) < 0.1)
      shade = np.where(post, 1.15, 0.8 + 0.2 * (depth % 0.3 < 0.2))
      shade = shade + style.texture * noise(2, y * 30, depth * 30)
    canvas.image[region][inside] = (color * shade[..., None])[inside]
    canvas.label[region][inside] = look.VEGETATION if hedge else look.FENCE
    canvas.depth[region][inside] = np.broadcast_to(depth, inside.shape)[inside]
