"""Sky and ground: road, markings, kerbs, pavements, yards and shadows."""

from __future__ import annotations

import numpy as np

from uda_jax.data.streets import scene
from uda_jax.data.streets import style as names
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import plan
from uda_jax.data.town import textures


def paint_sky(
  canvas: scene.Canvas,
  camera: scene.Camera,
  look: look_lib.Look,
  random: np.random.Generator,
) -> None:
  """Fills everything with sky."""
  height, width = canvas.label.shape
  rise = 1 - np.arange(height, dtype=np.float32) / camera.row
  rise = np.clip(rise, 0, 1)[:, None]
  colors = look.sky[1] + rise * (look.sky[0] - look.sky[1])
  scale = 120 / width
  clouds = textures.look_up(
    'cloudy',
    (np.arange(height) * 2 * scale + random.integers(256))[:, None],
    np.arange(width) * scale + random.integers(256),
  )
  clouds = look.clouds * clouds
  for channel in range(3):
    canvas.image[..., channel] = colors[:, channel, None] + clouds
  canvas.label[:] = names.SKY
  canvas.depth[:] = np.inf


def paint_ground(
  canvas: scene.Canvas,
  camera: scene.Camera,
  street: plan.Street,
  things: list[plan.Thing],
  look: look_lib.Look,
  random: np.random.Generator,
) -> None:
  """Paints all below the horizon."""
  height, width = canvas.label.shape
  first, z, x = camera.ground(height, width)
  z_fine = np.minimum(z, 400.0)
  # A crossing widens the road; at once a place without walks.
  crossing = np.abs(z - random.uniform(8, 60)) < random.uniform(2, 5)
  crossing &= random.random() < 0.35
  right = x > 0
  inner = np.where(right, street.kerbs[1], -street.kerbs[0])
  walk = np.where(right, street.walks[1], street.walks[0])
  beyond = np.abs(x) - inner
  kind = (beyond > 0).astype(np.uint8)
  kind[crossing[:, 0]] = 0
  yard = (beyond > walk) & ~crossing
  kind[yard & np.where(right, street.green[1], street.green[0])] = 2
  paint = _markings(x, z_fine, street, kind == 0, random)
  paint[0] &= ~crossing
  colors = np.concatenate(
    [look.pick(random, s) for s in ('road', 'pavement', 'grass', 'paint')]
    + [look.pick(random, 'yellow')]
  )
  label = np.array([names.ROAD, names.SIDEWALK, names.VEGETATION], np.uint8)
  canvas.label[first:] = label[kind]
  canvas.depth[first:] = z
  shade = _shade(x, z_fine, beyond, kind, camera, look, random)
  shade *= _shadows(x, z_fine, street, things, look, random)
  kind[paint[0]] = 3
  kind[paint[1]] = 4
  for channel in range(3):
    canvas.image[first:, :, channel] = colors[kind, channel] * shade


def _markings(x, z, street, road, random) -> list[np.ndarray]:
  """Returns where white and yellow paint is."""
  left, right = street.kerbs
  near = road & (z < 60)
  white = np.zeros(x.shape, bool)
  lines = [(left + right) / 2]
  if random.random() < 0.4:
    lines.append(random.uniform(left + 1, right - 1))
  for at in lines:
    dash, part = random.uniform(3, 9), random.uniform(0.35, 1.0)
    bend = 0.0
    if random.random() < 0.15:  # zig-zag before a crossing
      bend = 0.6 * np.abs((z / 4) % 2 - 1)
    white |= (np.abs(x - at - bend) < 0.08) & (z % dash < part * dash)
  if random.random() < 0.25:  # a zebra crossing, or a line to stop at
    at, stripes = random.uniform(6, 30), random.random() < 0.5
    white |= (np.abs(z - at) < (1.4 if stripes else 0.25)) & (
      (x % 1.1 < 0.55) | (not stripes)
    )
  if random.random() < 0.3:  # a symbol in a lane
    at, middle = random.uniform(5, 20), random.uniform(left + 1, right - 1)
    u, v = np.abs(x - middle), (z - at) / 1.6
    white |= (np.abs(v) < 1) & (np.abs(u - 0.5 * np.abs(v)) < 0.12)
  yellow = np.zeros(x.shape, bool)
  for edge, hand in ((left, 1), (right, -1)):
    draw = random.random()
    inside = (x - edge) * hand
    if draw < 0.4:
      yellow |= (np.abs(inside - 0.3) < 0.05) | (np.abs(inside - 0.5) < 0.05)
    elif draw < 0.6:
      white |= np.abs(inside - 0.3) < 0.06
  return [white & near, yellow & near]


def _shade(x, z, beyond, kind, camera, look, random) -> np.ndarray:
  """Returns what texture makes of the light."""
  offset = random.integers(256, size=4)
  fine = np.clip(12 / z, 0, 1)  # far texture averages out
  # One tile per 5 m and per 25 m.
  rough = textures.look_up('rough', z * 50 + offset[0], x * 50 + offset[1])
  stains = textures.look_up('stained', z * 5 + offset[2], x * 10 + offset[3])
  shade = 1 + look.texture * (0.07 * fine * rough + 0.05 * stains)
  patched = random.random(2) < 0.5
  for side, hand in enumerate((-1, 1)):
    if patched[side]:  # a repaired strip
      at, wide = random.uniform(-3, 3), random.uniform(0.3, 1.2)
      start = random.uniform(2, 20)
      strip = (np.abs(x - at) < wide) & (np.abs(z - start) < 3 * wide)
      shade = np.where(
        strip & (kind == 0), shade * (1 + 0.15 * hand * look.texture), shade
      )
  slab = random.uniform(0.4, 1.0)
  joint = ((z % slab < 0.12 * slab) | (x % slab < 0.08 * slab)) & (kind == 1)
  shade -= (0.16 * look.texture * random.random()) * joint * fine
  # The kerb: a bright edge and the gutter beside it.
  bright = random.uniform(-0.1, 0.35) * look.texture
  tall = np.maximum(0.15, 0.5 * z / np.float32(camera.focal))
  shade += bright * ((beyond > 0) & (beyond < tall) & (kind == 1))
  shade -= 0.25 * look.texture * ((beyond < 0) & (beyond > -tall))
  ends = np.where(kind == 2, 0.22 * look.texture, 0) * rough
  return np.maximum(shade + ends, 0.05, dtype=np.float32)


def _shadows(x, z, street, things, look, random) -> np.ndarray:
  """Returns the light that houses, trees and cars leave."""
  light = np.ones(x.shape, np.float32)
  sun = random.choice([-1, 1])
  reach = random.uniform(*street.kerbs)
  # The edge follows the roofs.
  steps = random.uniform(-2.5, 2.5, 64)[(z / 7).astype(np.int32) & 63]
  dark = (x - reach - steps) * sun < 0
  light[dark] = 1 - look.shadow
  contact = 1 - 0.6 * min(1.0, look.shadow + look.fade)
  for thing in things:
    if thing.kind in ('car', 'van', 'side_car') and thing.z < 40:
      far = (np.abs(z[:, 0] - thing.z - 1.5) < 2.2).nonzero()[0]
      if far.size:
        part = slice(far[0], far[-1] + 1)
        light[part][np.abs(x[part] - thing.x) < 1.1] *= contact
  return light * look.light
