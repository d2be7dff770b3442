"""Camera, layout, sky and ground of a scene, painted pixel by pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uda_jax.data.streets import style as look

# Side of a tile of noise.
TILE = 256


class Canvas(NamedTuple):
  """A scene while it is painted.

  Attributes:
    image: [H, W, 3] float32 colors.
    label: [H, W] uint8 classes.
    depth: [H, W] float32 meters to what is seen, inf in the sky.
  """

  image: np.ndarray
  label: np.ndarray
  depth: np.ndarray


class Camera(NamedTuple):
  """A pin-hole camera that looks along the street.

  Attributes:
    focal: in pixels.
    height: above the ground, meters.
    row: of the horizon.
    column: of the vanishing point.
  """

  focal: float
  height: float
  row: float
  column: float

  def project(self, x: float, y: float, z: float) -> tuple[float, float]:
    """Returns row and column of a point: x to the right, y up."""
    return (
      self.row + self.focal * (self.height - y) / z,
      self.column + self.focal * x / z,
    )

  def across(self, width: int) -> np.ndarray:
    """Returns the columns' distance from the vanishing point, [W] pixels."""
    return np.arange(width, dtype=np.float32) + 0.5 - self.column

  def slopes(self, width: int) -> np.ndarray:
    """Returns x / z on the rays of the columns, [W]."""
    return self.across(width) / np.float32(self.focal)

  def ground(
    self, height: int, width: int
  ) -> tuple[int, np.ndarray, np.ndarray]:
    """Returns the first row below the horizon, and the ground from there on.

    Returns:
      The row; z [R, 1] and x [R, W] of the R rows from it.
    """
    first = int(np.floor(self.row)) + 1
    rows = np.arange(first, height, dtype=np.float32) + 0.5
    z = (self.focal * self.height / (rows - self.row))[:, None]
    return first, z, self.across(width) * (z / np.float32(self.focal))


class Layout(NamedTuple):
  """Layout of the street, in meters from its middle.

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
  """Draws a random camera."""
  height, width = size
  return Camera(
    focal=width * random.uniform(0.5, 0.7),
    height=random.uniform(1.2, 1.6),
    row=height * random.uniform(0.38, 0.48),
    column=width * random.uniform(0.38, 0.62),
  )


def draw_layout(random: np.random.Generator) -> Layout:
  """Draws a random street."""
  road, pavement = random.uniform(3.2, 5.5), random.uniform(1.6, 3.2)
  walls = tuple(
    -(road + pavement + gap) if side < 0 else road + pavement + gap
    for side, gap in zip(
      (-1, 1),
      random.choice([0.0, 0.0, 2.0, 5.0], 2) + random.uniform(0, 0.5, 2),
    )
  )
  return Layout(road, pavement, walls, random.uniform(35, 90))


def tile(grid: np.ndarray, *, smooth: bool = False) -> np.ndarray:
  """Interpolates a square grid to a tile of `TILE` x `TILE` that repeats.

  Args:
    grid: [n, n] float.
    smooth: no kinks at the points of the grid.
  """
  cells = len(grid)
  at = np.arange(TILE) * cells / TILE
  low, part = at.astype(int), at % 1
  if smooth:
    part = part * part * (3 - 2 * part)
  high = (low + 1) % cells
  rows = grid[low] * (1 - part)[:, None] + grid[high] * part[:, None]
  return rows[:, low] * (1 - part) + rows[:, high] * part


def _noise_bank() -> np.ndarray:
  """Returns four maps of tiling value noise in -1..1, coarse to fine."""
  random = np.random.default_rng(3)
  maps = [tile(random.uniform(-1, 1, (n, n))) for n in (4, 8, 16, 64)]
  return np.stack(maps).astype(np.float32)


NOISE = _noise_bank()


def noise(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """Looks noise up at texture coordinates (any floats, a tile is 256)."""
  return NOISE[kind][u.astype(np.int32) & 255, v.astype(np.int32) & 255]


def pick(
  random: np.random.Generator, style: look.Style, surface: str, count: int = 1
) -> np.ndarray:
  """Draws colors of a surface: [count, 3] float32 in 0..1."""
  colors = style.palette[surface]
  color = colors[random.integers(len(colors), size=count)]
  noise_ = random.normal(size=(count, 4))
  color *= 1 + style.variety * noise_[:, :1]
  color += 0.4 * style.variety * noise_[:, 1:]
  return np.minimum(np.maximum(color, 0), 1).astype(np.float32)


def paint_sky(
  canvas: Canvas, camera: Camera, style: look.Style, random: np.random.Generator
) -> np.ndarray:
  """Fills everything with sky; returns the color of the horizon."""
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
  first, z, x = camera.ground(height, width)
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
