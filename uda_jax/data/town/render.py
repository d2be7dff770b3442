"""Rendered towns: scenes with the statistics of streets, in many looks.

A scene is a pure function of (seed, index), as in `uda_jax.data.streets`, whose
classes it has. It differs in what a network needs that is to see real streets:
frequencies and sizes of the classes, surfaces with texture, light and shadow,
colors that vary from scene to scene, and a camera's pixels.

As a command it draws a contact sheet: scenes, their labels, and the scenes
without any of `PARTS`:

  python -m uda_jax.data.town.render --out=sheet.png
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence

import numpy as np

from uda_jax import cli
from uda_jax import flag_values
from uda_jax.data import contact_sheet
from uda_jax.data.streets import scene as scene_lib
from uda_jax.data.streets import style
from uda_jax.data.town import cars
from uda_jax.data.town import fences
from uda_jax.data.town import ground
from uda_jax.data.town import houses
from uda_jax.data.town import look as look_lib
from uda_jax.data.town import people
from uda_jax.data.town import plan
from uda_jax.data.town import plants
from uda_jax.data.town import record as record_lib
from uda_jax.data.town import sensor
from uda_jax.data.town import things

CLASSES = style.CLASSES
PALETTE = style.PALETTE
PARTS = look_lib.PARTS

_PAINT = {
  'car': cars.car,
  'side_car': cars.side_car,
  'van': cars.van,
  'tree': plants.tree,
  'bush': plants.bush,
  'lamp': things.lamp,
  'post': things.post,
  'bollard': things.bollard,
  'road_sign': things.road_sign,
  'light': things.light,
  'board': things.board,
  'person': people.person,
  'rider': people.rider,
  'side_rider': people.side_rider,
}


def scene(
  record: record_lib.TownRecord, number: int
) -> tuple[np.ndarray, np.ndarray]:
  """Renders scene `number` of a data set; see `render`."""
  return render(
    record.seed, number, size=record.image_size, without=record.without
  )


def render(
  seed: int,
  index: int,
  *,
  size: tuple[int, int] = (160, 214),
  without: Collection[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
  """Renders one scene.

  Args:
    seed: of the town.
    index: of the scene, >= 0.
    size: (height, width), at least (32, 32).
    without: some of `PARTS`, to measure what they give.

  Returns:
    image [H, W, 3] uint8 and label [H, W] uint8, an index into `CLASSES`.
  """
  if min(size) < 32:
    raise ValueError(f'size: expected at least (32, 32), got {tuple(size)}')
  unknown = [part for part in without if part not in PARTS]
  if unknown:
    raise ValueError(f'without: expected some of {PARTS}, got {unknown[0]!r}')
  random = np.random.default_rng([seed, index, 1])
  canvas = scene_lib.Canvas(
    np.empty((*size, 3), np.float32),
    np.empty(size, np.uint8),
    np.empty(size, np.float32),
  )
  look = look_lib.draw(random, without)
  camera = plan.draw_camera(random, size)
  street = plan.draw_street(random)
  objects = plan.draw_things(random, street)
  ground.paint_sky(canvas, camera, look, random)
  plants.paint_backdrop(canvas, camera, look, random, street.end)
  ground.paint_ground(canvas, camera, street, objects, look, random)
  row = houses.draw(random, street, look)
  houses.paint(canvas, camera, row, look, random)
  fences.paint(canvas, camera, street, look, random)
  for thing in objects:
    if thing.z < street.end:
      _PAINT[thing.kind](canvas, camera, look, random, thing.x, thing.z)
  return sensor.expose(canvas, look, random), canvas.label


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.data.town.render', __doc__)
  group = result.add_argument_group('contact sheet')
  cli.add_out(group, 'the PNG to write')
  cli.add_seed(group, 'of the town')
  group.add_argument(
    '--first',
    type=flag_values.at_least(0),
    default=0,
    metavar='N',
    help='the first scene',
  )
  return result


def draw(args: argparse.Namespace) -> None:
  """Writes a contact sheet."""
  palette = np.array(PALETTE, np.uint8)
  columns = []
  for index in range(args.first, args.first + 5):
    image, label = render(args.seed, index)
    flat, _ = render(args.seed, index, without=PARTS)
    columns.append(np.concatenate([image, palette[label], flat]))
  contact_sheet.write(np.concatenate(columns, 1), args.out)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), draw, argv)


if __name__ == '__main__':
  main()
