"""Objects in the street: boards facing the camera, and cars."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.streets import sides
from uda_jax.data.streets import style as look

_SIGN_FACE = np.array([0.92, 0.92, 0.90], np.float32)
_TAIL_LIGHT = np.array([0.75, 0.08, 0.06], np.float32)


class Brush:
  """Paints shapes at one depth; x is meters from the object, y meters up."""

  def __init__(
    self,
    canvas: scene.Canvas,
    camera: scene.Camera,
    x: float,
    z: float,
    reach: tuple[float, float],
  ):
    """Finds the part of the image that the object can cover.

    Args:
      canvas: the scene.
      camera: the camera.
      x: where the object stands, meters to the right.
      z: how far away, meters.
      reach: half its width and its height, meters.
    """
    height, width = canvas.label.shape
    bottom, center = camera.project(x, 0.0, z)
    scale = camera.focal / z
    rows = slice(
      max(int(bottom - reach[1] * scale) - 1, 0), min(int(bottom) + 2, height)
    )
    columns = slice(
      max(int(center - reach[0] * scale) - 1, 0),
      min(int(center + reach[0] * scale) + 2, width),
    )
    self.empty = rows.start >= rows.stop or columns.start >= columns.stop
    self._image = canvas.image[rows, columns]
    self._label = canvas.label[rows, columns]
    self._depth = canvas.depth[rows, columns]
    self._z = z
    self.y = (bottom - np.arange(rows.start, rows.stop)[:, None] - 0.5) / scale
    self.x = (np.arange(columns.start, columns.stop) + 0.5 - center) / scale
    # Nothing is thinner than most of a pixel, or it would come and go.
    self.pixel = 0.4 / scale
    self.free = self._depth > z

  def fill(
    self,
    shape: np.ndarray,
    color: np.ndarray,
    label: int,
    shade: np.ndarray | float = 1.0,
  ) -> None:
    """Paints where `shape` is true and nothing nearer stands."""
    where = (shape & self.free).nonzero()
    if not where[0].size:
      return
    if isinstance(shade, np.ndarray):
      shade = np.broadcast_to(shade, self.free.shape)
      color = color * shade[where][:, None]
    self._image[where] = color
    self._label[where] = label
    self._depth[where] = self._z

  def box(self, left: float, right: float, low: float, high: float):
    """Returns the mask of an upright rectangle."""
    middle, half = (left + right) / 2, max((right - left) / 2, self.pixel)
    return (np.abs(self.x - middle) <= half) & (
      (self.y >= low) & (self.y <= high)
    )

  def disc(self, x: float, y: float, radius: float):
    """Returns the mask of a disc."""
    radius = max(radius, self.pixel)
    return (self.x - x) ** 2 + (self.y - y) ** 2 <= radius * radius


def _color(random, style, surface) -> np.ndarray:
  return scene.pick(random, style, surface)[0]


def tree(canvas, camera, style, random, x, z) -> None:
  """Paints a trunk and a ragged crown."""
  tall, wide = random.uniform(4, 7.5), random.uniform(1.0, 2.2)
  brush = Brush(canvas, camera, x, z, (wide * 1.3, tall))
  if brush.empty:
    return
  crown = tall - wide * 1.2
  brush.fill(
    brush.box(-0.14, 0.14, 0, crown),
    _color(random, style, 'trunk'),
    look.VEGETATION,
  )
  ragged = scene.noise(2, brush.y * 30 + random.integers(256), brush.x * 30)
  shape = (brush.x / wide) ** 2 + (
    (brush.y - crown) / (wide * 1.2)
  ) ** 2 < 1 + 0.35 * ragged
  shade = (
    0.85
    + 0.15 * (brush.y - crown) / wide
    + (0.15 + style.texture) * scene.noise(3, brush.y * 60, brush.x * 60)
  )
  brush.fill(shape, _color(random, style, 'tree'), look.VEGETATION, shade)


def pole(canvas, camera, style, random, x, z) -> None:
  """Paints a pole: a lamp with an arm, or one that carries a sign."""
  sign = random.random() < 0.55
  tall = random.uniform(2.2, 3.2) if sign else random.uniform(5, 8)
  brush = Brush(canvas, camera, x, z, (1.6, tall + 0.5))
  if brush.empty:
    return
  color = _color(random, style, 'pole')
  brush.fill(brush.box(-0.06, 0.06, 0, tall), color, look.POLE)
  if not sign:
    arm = -np.sign(x) * random.uniform(0.6, 1.5)
    brush.fill(
      brush.box(min(0, arm), max(0, arm), tall - 0.1, tall), color, look.POLE
    )
    return
  size = random.uniform(0.32, 0.5)
  face = _color(random, style, 'sign')
  kind = random.integers(3)
  if kind == 0:
    shape = brush.disc(0, tall, size)
  elif kind == 1:
    shape = brush.box(-size, size, tall - size, tall + size)
  else:
    shape = (brush.y > tall - size) & (
      np.abs(brush.x) < (tall + size - brush.y) * 0.55
    )
  brush.fill(shape, face, look.SIGN)
  brush.fill(
    brush.disc(0, tall, 0.45 * size) & shape,
    _SIGN_FACE * (1 - 0.3 * style.grime),
    look.SIGN,
  )


def _body(brush, style, random, x, low, tall) -> None:
  """Paints a torso with a head, from `low` to `tall`."""
  clothes = _color(random, style, 'person')
  waist = low + 0.45 * (tall - low)
  if low == 0:
    for leg in (-0.1, 0.1):
      brush.fill(
        brush.box(x + leg - 0.07, x + leg + 0.07, 0, waist),
        0.5 * clothes + 0.05,
        look.PERSON,
      )
  brush.fill(
    brush.box(x - 0.22, x + 0.22, max(waist, low), tall - 0.26),
    clothes,
    look.PERSON,
  )
  brush.fill(
    brush.disc(x, tall - 0.13, 0.14), _color(random, style, 'skin'), look.PERSON
  )


def person(canvas, camera, style, random, x, z) -> None:
  """Paints someone on foot."""
  brush = Brush(canvas, camera, x, z, (0.4, 2.0))
  if not brush.empty:
    _body(brush, style, random, 0.0, 0.0, random.uniform(1.5, 1.9))


def cyclist(canvas, camera, style, random, x, z) -> None:
  """Paints a bicycle from the side, mostly with someone on it."""
  brush = Brush(canvas, camera, x, z, (1.1, 2.0))
  if brush.empty:
    return
  color = _color(random, style, 'bicycle')
  if random.random() < 0.75:
    _body(brush, style, random, -0.05, 0.75, 1.75)
  for wheel in (-0.52, 0.52):
    ring = brush.disc(wheel, 0.34, 0.36)
    inner = 0.36 - max(0.09, 2 * brush.pixel)
    if inner > 0.05:
      ring &= ~brush.disc(wheel, 0.34, inner)
    brush.fill(ring, color, look.BICYCLE)
  slope = np.abs(brush.y - 0.45 - 0.35 * np.abs(brush.x)) < max(
    0.07, brush.pixel
  )
  brush.fill(slope & (np.abs(brush.x) < 0.55), color, look.BICYCLE)


def car(canvas, camera, style, random, x, z) -> None:
  """Paints a car from behind, and the side that its place shows."""
  wide, tall = random.uniform(0.82, 0.95), random.uniform(1.4, 1.7)
  long = random.uniform(3.4, 4.6)
  color = _color(random, style, 'car')
  glass = _color(random, style, 'glass')
  tyre = _color(random, style, 'tyre')
  _car_side(canvas, camera, x, z, (wide, tall, long), (color, glass, tyre))
  brush = Brush(canvas, camera, x, z, (wide, tall))
  if brush.empty:
    return
  cabin = 0.55 * tall
  # The roof is narrower than the body.
  half = wide * (1 - 0.25 * np.clip((brush.y - cabin) / (tall - cabin), 0, 1))
  shape = (np.abs(brush.x) < half) & ((brush.y > 0.22) & (brush.y < tall))
  shade = 0.9 + 0.2 * brush.y / tall
  brush.fill(shape, color, look.CAR, shade)
  pane = (brush.y > cabin + 0.05) & (brush.y < tall - 0.1)
  brush.fill(shape & pane & (np.abs(brush.x) < half - 0.1), glass, look.CAR)
  for side in (-1, 1):
    inner, outer = 0.6 * wide * side, 0.95 * wide * side
    brush.fill(
      brush.box(min(inner, outer), max(inner, outer), 0, 0.3), tyre, look.CAR
    )
    brush.fill(
      brush.box(min(inner, outer), max(inner, outer), 0.62, 0.75),
      _TAIL_LIGHT,
      look.CAR,
    )


def _car_side(canvas, camera, x, z, size, colors) -> None:
  """Paints the side of a car."""
  wide, tall, long = size
  color, glass, tyre = colors
  side = sides.side_face(canvas, camera, x, z, wide=wide, long=long, least=0.3)
  if side is None:
    return
  region, depth, along, y = side
  roof = tall * np.where((along > 0.02) & (along < 0.68), 1.0, 0.58)
  free = canvas.depth[region] > depth
  wheel = (np.abs(along - 0.2) < 0.08) | (np.abs(along - 0.8) < 0.08)
  body = (y > 0.22) & (y < roof) & free & ((along >= 0) & (along <= 1))
  pane = body & (y > 0.62 * tall) & (y < tall - 0.1) & (along < 0.62)
  rubber = (y >= 0) & (y < 0.6) & wheel & free
  for shape, paint in ((body, 0.82 * color), (pane, glass), (rubber, tyre)):
    where = shape.nonzero()
    canvas.image[region][where] = paint
    canvas.label[region][where] = look.CAR
    canvas.depth[region][where] = depth[where[1]]


def place(
  canvas: scene.Canvas,
  camera: scene.Camera,
  layout: scene.Layout,
  style: look.Style,
  random: np.random.Generator,
) -> None:
  """Places random objects in the street and paints them, far to near."""
  edge, outer = layout.road, layout.road + layout.pavement
  hand = lambda: (-1.0, 1.0)[random.integers(2)]
  far = lambda low, high: low * (high / low) ** random.random()
  items = []
  for _ in range(random.poisson(4.5)):  # parked at the kerb
    items.append((car, hand() * (edge - 1.0), far(5, 45)))
  for _ in range(random.poisson(1.0)):  # driving
    items.append((car, hand() * random.uniform(1.2, edge - 1.5), far(7, 50)))
  for _ in range(random.poisson(3.0)):
    items.append((tree, hand() * (outer - random.uniform(0, 0.8)), far(6, 50)))
  for _ in range(2 + random.poisson(2.5)):
    items.append((pole, hand() * (edge + random.uniform(0.2, 0.6)), far(5, 35)))
  for _ in range(random.poisson(2.2)):
    side = hand() * random.uniform(edge + 0.3, outer - 0.2)
    items.append((person, side, far(4, 25)))
  if random.random() < 0.12:  # someone crosses
    items.append((person, random.uniform(-edge, edge), far(7, 25)))
  for _ in range(random.poisson(0.9)):
    items.append(
      (cyclist, hand() * random.uniform(0.5 * edge, edge + 0.5), far(4.5, 22))
    )
  for paint, x, z in sorted(items, key=lambda item: -item[2]):
    if z < layout.end:
      paint(canvas, camera, style, random, x, z)
