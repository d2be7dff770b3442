"""Places in a scene, in meters: of street, houses, fences and things.

Coordinates are those of the camera: x to the right, y up from the ground, z
ahead. Streets are seen from one of their lanes, not from their middle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uda_jax.data.streets import scene


class Street(NamedTuple):
  """Edges of the street, from left to right.

  Attributes:
    kerbs: x of the left and right edge of the road.
    walks: width of the left and right pavement.
    yards: width of the strip between pavement and walls.
    green: whether the left and right strip is grass.
    end: z of what closes the view.
  """

  kerbs: tuple[float, float]
  walks: tuple[float, float]
  yards: tuple[float, float]
  green: tuple[bool, bool]
  end: float

  def walls(self, side: int) -> float:
    """Returns the distance of the walls on the left (0) or right (1)."""
    return abs(self.kerbs[side]) + self.walks[side] + self.yards[side]


class Thing(NamedTuple):
  """One object: its kind and where it stands on the ground."""

  kind: str
  x: float
  z: float


def draw_camera(
  random: np.random.Generator, size: tuple[int, int]
) -> scene.Camera:
  """Draws a camera behind a windscreen: height, tilt, direction and lens."""
  height, width = size
  return scene.Camera(
    focal=width * random.uniform(0.7, 1.1),
    height=random.uniform(1.2, 1.9),
    row=height * random.uniform(0.38, 0.50),
    column=width * random.uniform(0.25, 0.75),
  )


def draw_street(random: np.random.Generator) -> Street:
  """Draws a street; people drive on either side of it."""
  near, far = random.uniform(1.6, 3.6), random.uniform(3.5, 7.5)
  kerbs = (-near, far) if random.random() < 0.7 else (-far, near)
  walks = random.uniform(1.8, 5.0, 2)
  yards = random.choice([0.0, 0.0, 0.0, 2.5, 6.0], 2)
  return Street(
    kerbs,
    _pair(walks),
    _pair(yards + random.uniform(0, 0.5, 2)),
    _pair(random.random(2) < 0.5),
    random.uniform(60, 130),
  )


def _pair(values: np.ndarray) -> tuple[Any, Any]:
  left, right = values
  return left, right


def draw_things(random: np.random.Generator, street: Street) -> list[Thing]:
  """Draws the objects of a scene, from far to near."""
  things = []
  between = random.uniform
  far = lambda low, high: low * (high / low) ** random.random()
  left, right = street.kerbs

  def walk(part):
    side = random.integers(2)
    edge = abs(street.kerbs[side]) + part * street.walks[side]
    return (-1, 1)[side] * edge

  def put(kind, mean, place, low, high):
    for _ in range(random.poisson(mean)):
      things.append(Thing(kind, place(), far(low, high)))

  busy = random.gamma(2.0, 0.5)
  for side, hand in ((0, 1), (1, -1)):  # rows of parked cars
    if random.random() < 0.3:
      z = between(5, 25)
      for _ in range(random.integers(1, 7)):
        things.append(Thing('car', street.kerbs[side] + hand * 1.0, z))
        z += between(5, 7)
  put('car', 1.3 * busy, lambda: between(left + 1.2, right - 1.2), 7, 60)
  put('side_car', 0.25 * busy, lambda: between(left - 3, right + 3), 12, 45)
  put('van', 0.25 * busy, lambda: between(left + 1.4, right - 1.4), 10, 60)
  put('tree', 3.2, lambda: walk(between(0.6, 2.2)), 7, 60)
  put('bush', 0.8, lambda: walk(between(1.0, 2.0)), 6, 40)
  put('lamp', 2.4, lambda: walk(between(0.05, 0.3)), 7, 60)
  put('post', 1.6, lambda: walk(between(0.05, 0.3)), 6, 40)
  put('bollard', 0.6, lambda: walk(between(0.05, 0.2)), 4.5, 20)
  put('road_sign', 1.6, lambda: walk(between(0.05, 0.4)), 5, 35)
  put('light', 1.3, lambda: walk(between(0.02, 0.3)), 6, 40)
  put('board', 0.9, lambda: walk(between(0.3, 1.1)), 5, 30)
  put('person', 2.2 * busy, lambda: walk(between(0.15, 0.95)), 5, 45)
  put('person', 0.3 * busy, lambda: between(left, right), 8, 35)
  put('rider', 0.9 * busy, lambda: between(left + 0.4, right - 0.4), 5, 35)
  put('side_rider', 0.15 * busy, lambda: between(left, right), 7, 30)
  return sorted(things, key=lambda thing: -thing.z)
