"""Cars from behind, from the front and from the side, and vans."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import sides
from uda_jax.data.streets import style as names
from uda_jax.data.town import plants

Brush = plants.Brush

# Outline of a car from the side: parts of its length, of its height.
_LONG = (0.0, 0.02, 0.10, 0.22, 0.36, 0.62, 0.76, 0.97, 1.0)
_HIGH = (0.30, 0.50, 0.60, 0.66, 0.97, 1.0, 0.68, 0.60, 0.25)
_VAN = (0.30, 0.70, 0.98, 1.0, 1.0, 1.0, 0.95, 0.60, 0.25)
_FRONT_PLATE = np.array([0.8, 0.75, 0.75], np.float32)
_REAR_PLATE = np.array([0.8, 0.75, 0.4], np.float32)
_HEADLIGHT = np.array([0.8, 0.8, 0.78], np.float32)
_TAIL_LIGHT = np.array([0.55, 0.10, 0.08], np.float32)


def car(canvas, camera, look, random, x, z) -> None:
  """Paints a car."""
  _along(canvas, camera, look, random, x, z, van=False)


def van(canvas, camera, look, random, x, z) -> None:
  """Paints a van, a truck or a bus."""
  _along(canvas, camera, look, random, x, z, van=True)


def _along(canvas, camera, look, random, x, z, *, van) -> None:
  """Paints a car that stands along the street: its end and one side."""
  wide = random.uniform(0.8, 0.92) * (1.2 if van else 1)
  tall = random.uniform(2.0, 3.8) if van else random.uniform(1.35, 1.7)
  long = random.uniform(5, 10) if van else random.uniform(3.6, 4.7)
  (color,) = look.pick(random, 'car') * look.light
  (glass,) = look.pick(random, 'glass') * look.light
  tyre = look.pick(random, 'tyre')[0]
  front = random.random() < (0.8 if x > 0 else 0.2)
  plate = (_FRONT_PLATE if front else _REAR_PLATE) * look.light
  light = _HEADLIGHT if front else _TAIL_LIGHT
  _side(
    canvas, camera, look, x, z, (wide, tall, long), (color, glass, tyre), van
  )
  brush = Brush(canvas, camera, x, z, (wide, tall))
  if brush.empty:
    return
  belt = (0.5 if van else 0.58) * tall
  up = np.clip((brush.y - belt) / (tall - belt), 0, 1)
  half = wide * (1 - (0.04 if van else 0.26) * up - 0.1 * (up > 0.93))
  half = half * np.clip(0.9 + brush.y, 0, 1)
  shape = (np.abs(brush.x) < half) & (brush.y > 0.2) & (brush.y < tall)
  shade = 0.75 + 0.3 * brush.y / tall + 0.15 * (np.abs(brush.y - belt) < 0.1)
  for middle in (-0.78 * wide, 0.78 * wide):
    wheel = brush.box(middle - 0.12, middle + 0.12, 0, 0.35)
    brush.fill(wheel, tyre, names.CAR)
  under = brush.box(-0.7 * wide, 0.7 * wide, 0.08, 0.25)
  brush.fill(under, 0.6 * tyre, names.CAR)
  brush.fill(shape, color, names.CAR, shade)
  pane = (brush.y > belt + 0.04) & (brush.y < tall * 0.93)
  pane = pane & (np.abs(brush.x) < half - 0.1)
  sky = 0.7 + 0.8 * up if not van else 1.0
  brush.fill(shape & pane, glass, names.CAR, sky)
  lamps = (np.abs(brush.y - 0.48 * min(tall, 1.7)) < 0.09) & shape
  lamps &= np.abs(brush.x) > 0.62 * wide
  brush.fill(lamps, light, names.CAR)
  brush.fill(brush.box(-0.26, 0.26, 0.45, 0.56), plate, names.CAR)
  bumper = shape & (brush.y < 0.38)
  brush.fill(bumper, 0.5 * color, names.CAR)


def _side(canvas, camera, look, x, z, size, colors, van) -> None:
  """Paints the side that one sees."""
  wide, tall, long = size
  color, glass, tyre = colors
  side = sides.side_face(canvas, camera, x, z, wide=wide, long=long, least=0.2)
  if side is None:
    return
  depth, y = side.depth, side.y
  along = np.clip(side.along, 0, 1)
  image, label, far = (layer[side.region] for layer in canvas)
  light = 0.5 + 0.5 * min(look.sides)
  roof = tall * np.interp(along, _LONG, _VAN if van else _HIGH)
  belt = 0.58 * tall
  free = far > depth
  body = (y > 0.2) & (y < roof) & free
  pane = body & (y > belt) & (y < roof - 0.08)
  pane &= (np.abs(along - 0.5) > 0.03) & (along > (0.7 if van else 0.18))
  pane &= along < 0.82
  wheel = np.minimum(np.abs(along - 0.18), np.abs(along - 0.8)) < 0.075
  rubber = (y >= 0) & (y < 0.62) & wheel & free
  shade = light * (0.7 + 0.35 * y / tall)
  for shape, tint in ((body, color), (pane, glass), (rubber, tyre)):
    where = shape.nonzero()
    if tint is color:
      tint = color * shade[where][:, None]
    image[where] = tint
    label[where] = names.CAR
    far[where] = np.broadcast_to(depth, y.shape)[where]


def side_car(canvas, camera, look, random, x, z) -> None:
  """Paints a car that crosses, from the side."""
  tall, long = random.uniform(1.35, 1.7), random.uniform(3.7, 4.6)
  (color,) = look.pick(random, 'car') * look.light
  (glass,) = look.pick(random, 'glass') * look.light
  tyre = look.pick(random, 'tyre')[0]
  hand = random.choice([-1, 1])
  brush = Brush(canvas, camera, x, z, (long / 2, tall))
  if brush.empty:
    return
  along = np.clip(hand * brush.x / long + 0.5, 0, 1)
  roof = tall * np.interp(along, _LONG, _HIGH)
  shape = (brush.y > 0.2) & (brush.y < roof) & (np.abs(brush.x) < long / 2)
  brush.fill(shape, color, names.CAR, 0.7 + 0.35 * brush.y / tall)
  pane = shape & (brush.y > 0.6 * tall) & (brush.y < roof - 0.08)
  pane &= (np.abs(along - 0.5) > 0.03) & (np.abs(along - 0.5) < 0.3)
  brush.fill(pane, glass, names.CAR)
  for wheel in (-0.32, 0.30):
    disc = brush.disc(hand * wheel * long, 0.32, 0.33)
    brush.fill(disc, tyre, names.CAR)
    hub = brush.disc(hand * wheel * long, 0.32, 0.16)
    brush.fill(hub, np.full(3, 0.4, np.float32) * look.light, names.CAR)
