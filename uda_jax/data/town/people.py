"""People on foot and on bicycles; a rider counts with the bicycle."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import style as names
from uda_jax.data.town import plants

Brush = plants.Brush


def _body(brush, colors, x, low, tall, label, stride=0.0, arms=0.0) -> None:
  """Paints legs, torso, arms and head between two heights."""
  coat, trousers, skin = colors
  size = tall - low
  hip, neck = low + 0.47 * size, low + 0.84 * size
  for leg in (-1, 1):
    middle = x + leg * (0.08 + stride * (hip - brush.y))
    shape = np.abs(brush.x - middle) < max(0.08, brush.pixel)
    brush.fill(shape & (brush.y > low) & (brush.y < hip + 0.1), trousers, label)
  # Shoulders are wider than the waist.
  half = (0.15 + 0.07 * np.clip((brush.y - hip) / (neck - hip), 0, 1)) * (
    size / 1.7
  )
  torso = (np.abs(brush.x - x) < half + arms) & (brush.y > hip - 0.1)
  brush.fill(torso & (brush.y < neck), coat, label, 1 + 0.2 * (brush.x - x))
  brush.fill(brush.disc(x, neck + 0.07 * size, 0.075 * size), skin, label)


def _colors(random, look):
  coat, trousers = look.pick(random, 'cloth', 2) * look.light
  (skin,) = look.pick(random, 'skin') * look.light
  if random.random() < 0.5:  # hair, a hat, or seen from behind
    skin = 0.4 * skin
  return coat, trousers, skin


def person(canvas, camera, look, random, x, z) -> None:
  """Paints one to three people side by side."""
  count = 1 + (random.random() < 0.35) + (random.random() < 0.15)
  for _ in range(count):
    tall, stride = random.uniform(1.5, 1.9), random.uniform(0, 0.25)
    colors, arms = _colors(random, look), random.uniform(0, 0.1)
    bag, side = random.random() < 0.3, random.choice([-1, 1])
    brush = Brush(canvas, camera, x, z, (0.6, 2.0))
    if not brush.empty:
      _body(brush, colors, 0, 0, tall, names.PERSON, stride, arms)
      if bag:
        shape = brush.box(side * 0.3 - 0.13, side * 0.3 + 0.13, 0.5, 0.9)
        brush.fill(shape, 0.6 * colors[1], names.PERSON)
    x += random.uniform(0.5, 0.8)


def rider(canvas, camera, look, random, x, z) -> None:
  """Paints a rider from behind or from the front: wheels are narrow."""
  colors, tall = _colors(random, look), random.uniform(1.6, 1.85)
  bag = random.random() < 0.4
  (frame,) = look.pick(random, 'cloth') * look.light
  (bags,) = look.pick(random, 'board') * look.light
  brush = Brush(canvas, camera, x, z, (0.6, 2.0))
  if brush.empty:
    return
  dark = np.full(3, 0.05, np.float32)
  brush.fill(brush.box(-0.04, 0.04, 0, 0.7), dark, names.BICYCLE)
  _body(brush, colors, 0, 0.3, tall, names.BICYCLE, 0.05, 0.06)
  bar = brush.box(-0.28, 0.28, 0.95, 1.02)
  brush.fill(bar, frame, names.BICYCLE)
  if bag:
    brush.fill(brush.box(-0.25, 0.25, 0.45, 0.75), bags, names.BICYCLE)


def side_rider(canvas, camera, look, random, x, z) -> None:
  """Paints a rider from the side."""
  colors, tall = _colors(random, look), random.uniform(1.6, 1.85)
  (frame,) = look.pick(random, 'cloth') * look.light
  hand = random.choice([-1, 1])
  brush = Brush(canvas, camera, x, z, (1.1, 2.0))
  if brush.empty:
    return
  dark = np.full(3, 0.05, np.float32)
  thick = max(0.05, 2 * brush.pixel)
  for wheel in (-0.52, 0.52):
    ring = brush.disc(wheel, 0.34, 0.35)
    if thick < 0.25:
      ring &= ~brush.disc(wheel, 0.34, 0.35 - thick)
    brush.fill(ring, dark, names.BICYCLE)
  slope = np.abs(brush.y - 0.4 - 0.4 * np.abs(brush.x)) < max(0.05, brush.pixel)
  brush.fill(slope & (np.abs(brush.x) < 0.52), frame, names.BICYCLE)
  _body(brush, colors, 0.1 * hand, 0.45, tall, names.BICYCLE, 0.1, 0.08)
