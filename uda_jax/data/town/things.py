"""Upright things: lamps, posts, bollards, signs, traffic lights, boards."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import style as names
from uda_jax.data.town import plants

Brush = plants.Brush

# Red, amber and green of a traffic light.
_LIGHTS = np.array(
  [[0.95, 0.15, 0.1], [0.9, 0.6, 0.1], [0.2, 0.85, 0.5]], np.float32
)


def lamp(canvas, camera, look, random, x, z) -> None:
  """Paints a tall lamp post with an arm."""
  tall, thick = random.uniform(5, 10), random.uniform(0.04, 0.08)
  arm = -np.sign(x) * random.uniform(0.3, 2.0)
  (color,) = look.pick(random, 'pole') * look.light
  brush = Brush(canvas, camera, x, z, (2.2, tall + 0.3))
  if brush.empty:
    return
  brush.fill(brush.box(-thick, thick, 0, tall), color, names.POLE)
  base = brush.box(-1.6 * thick, 1.6 * thick, 0, 1.2)
  brush.fill(base, 0.8 * color, names.POLE)
  height = max(0.06, brush.pixel)
  side = brush.box(min(0, arm), max(0, arm), tall - height, tall + height)
  brush.fill(side, color, names.POLE)


def post(canvas, camera, look, random, x, z) -> None:
  """Paints a plain post, such as of a telephone line."""
  tall, thick = random.uniform(2.5, 7), random.uniform(0.04, 0.09)
  (color,) = look.pick(random, 'pole') * look.light
  brush = Brush(canvas, camera, x, z, (0.4, tall))
  if not brush.empty:
    brush.fill(brush.box(-thick, thick, 0, tall), color, names.POLE)


def bollard(canvas, camera, look, random, x, z) -> None:
  """Paints one to four bollards in a row."""
  tall, thick = random.uniform(0.8, 1.2), random.uniform(0.06, 0.13)
  (color,) = look.pick(random, 'pole') * look.light
  count, step = random.integers(1, 5), random.uniform(1.2, 2.0)
  for number in reversed(range(count)):
    brush = Brush(canvas, camera, x, z + number * step, (0.3, tall))
    if brush.empty:
      continue
    brush.fill(brush.box(-thick, thick, 0, tall), color, names.POLE)
    band = brush.box(-thick, thick, 0.75 * tall, 0.85 * tall)
    brush.fill(band, np.minimum(color + 0.4, 0.9), names.POLE)


def road_sign(canvas, camera, look, random, x, z) -> None:
  """Paints a round, square or triangular sign on a post, or two of them."""
  tall, size = random.uniform(2.1, 3.2), random.uniform(0.28, 0.5)
  (color,) = look.pick(random, 'pole') * look.light
  faces = look.pick(random, 'sign', 4) * look.light
  kinds, two = random.integers(4, size=2), random.random() < 0.3
  brush = Brush(canvas, camera, x, z, (1.2, tall + 1.0))
  if brush.empty:
    return
  brush.fill(brush.box(-0.05, 0.05, 0, tall), color, names.POLE)
  for number in range(1 + two):
    at = tall - number * 2.1 * size
    kind = kinds[number]
    if kind == 0:
      shape = brush.disc(0, at, size)
    elif kind == 1:
      shape = brush.box(-size, size, at - size, at + size)
    elif kind == 2:
      shape = brush.box(-1.5 * size, 1.5 * size, at - 0.6 * size, at + size)
    else:
      half = (at + size - brush.y) * 0.55
      shape = (brush.y > at - size) & (np.abs(brush.x) < half)
    brush.fill(shape, faces[number], names.SIGN)
    inner = brush.disc(0, at, (0.7 if kind != 2 else 0.4) * size) & shape
    brush.fill(inner, faces[2 + number], names.SIGN)


def light(canvas, camera, look, random, x, z) -> None:
  """Paints a traffic light: a dark box with a lamp, on its post."""
  low, tall = random.uniform(2.0, 2.6), random.uniform(0.8, 1.2)
  half = random.uniform(0.14, 0.3)
  (color,) = look.pick(random, 'pole') * look.light
  lit, back = random.integers(3), 0.04 + 0.10 * random.random()
  double = random.random() < 0.35
  brush = Brush(canvas, camera, x, z, (1.0, low + tall + 0.2))
  if brush.empty:
    return
  brush.fill(brush.box(-0.06, 0.06, 0, low + tall + 0.1), color, names.POLE)
  dark = np.full(3, back * look.light, np.float32)
  for at in (0.0, 2.2 * half)[: 1 + double]:
    box = brush.box(at - half, at + half, low, low + tall)
    brush.fill(box, dark, names.SIGN)
    height = low + tall * (0.83 - 0.33 * lit)
    brush.fill(brush.disc(at, height, 0.6 * half), _LIGHTS[lit], names.SIGN)


def board(canvas, camera, look, random, x, z) -> None:
  """Paints a board: an advertisement, a shop's sign, a stop of a bus."""
  wide, tall = random.uniform(0.25, 0.9), random.uniform(0.4, 1.8)
  low = random.choice([0.2, 2.2, 3.0]) + random.uniform(0, 0.6)
  (color,) = look.pick(random, 'pole') * look.light
  faces = look.pick(random, 'sign', 2) * look.light
  bands, hung = random.integers(2, 6), low > 2.9
  brush = Brush(canvas, camera, x, z, (wide + 0.1, low + tall))
  if brush.empty:
    return
  if not hung:
    brush.fill(brush.box(-0.06, 0.06, 0, low), color, names.POLE)
  shape = brush.box(-wide, wide, low, low + tall)
  brush.fill(shape, faces[0], names.SIGN)
  if look.texture:
    text = ((brush.y - low) * bands / tall) % 1 < 0.4
    text = text & (np.abs(brush.x) < 0.8 * wide)
    brush.fill(shape & text, faces[1], names.SIGN)
