"""Rendered street scenes: the embedded benchmark, pixel-exact and endless.

A scene is a pure function of (seed, index): a pin-hole camera looks along a
street of houses; every pixel is the surface that its ray meets first, so the
labels are exact. A domain is a `Style`; `style` describes the gap.

As a command it draws a contact sheet, images over labels, a row a gap:

  python -m uda_jax.data.streets.render --out=sheet.png
  python -m uda_jax.data.streets.render --out=sheet.png --seed=3 --gap 0.2 0.8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from uda_jax import cli
from uda_jax.data import contact_sheet
from uda_jax.data.streets import camera as camera_lib
from uda_jax.data.streets import objects
from uda_jax.data.streets import record as record_lib
from uda_jax.data.streets import scene as scene_lib
from uda_jax.data.streets import style as style_lib
from uda_jax.data.streets import walls

CLASSES = style_lib.CLASSES
PALETTE = style_lib.PALETTE
Style = style_lib.Style
style = style_lib.style


def render(
  seed: int, index: int, *, size: tuple[int, int] = (96, 192), style: Style
) -> tuple[np.ndarray, np.ndarray]:
  """Renders one scene.

  Args:
    seed: of the town.
    index: of the scene, >= 0.
    size: (height, width), at least (32, 32).
    style: how it looks; the scenes of two styles have the same statistics.

  Returns:
    image [H, W, 3] uint8 and label [H, W] uint8, an index into `CLASSES`.
  """
  if min(size) < 32:
    raise ValueError(f'size: expected at least (32, 32), got {tuple(size)}')
  random = np.random.default_rng([seed, index])
  canvas = scene_lib.Canvas(
    np.zeros((*size, 3), np.float32),
    np.zeros(size, np.uint8),
    np.zeros(size, np.float32),
  )
  camera = scene_lib.draw_camera(random, size)
  layout = scene_lib.draw_layout(random)
  horizon = scene_lib.paint_sky(canvas, camera, style, random)
  scene_lib.paint_ground(canvas, camera, layout, style, random)
  for wall in walls.walls(camera, layout, size[1]):
    walls.paint_houses(canvas, camera, wall, style, random)
  walls.paint_fences(canvas, camera, layout, style, random)
  objects.place(canvas, camera, layout, style, random)
  image = camera_lib.expose(canvas.image, canvas.depth, horizon, style, random)
  return image, canvas.label


def scene(
  record: record_lib.StreetsRecord, number: int
) -> tuple[np.ndarray, np.ndarray]:
  """Renders scene `number` of a data set; see `render`."""
  return render(
    record.seed,
    number,
    size=record.image_size,
    style=style(gap=record.gap),
  )


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.data.streets.render', __doc__)
  group = result.add_argument_group('contact sheet')
  cli.add_out(group, 'the PNG to write')
  cli.add_seed(group, 'of the town')
  group.add_argument(
    '--gap',
    type=float,
    nargs=2,
    action='append',
    metavar=('PHOTOMETRIC', 'LOCAL'),
    help='a row, of two numbers from 0 (like a game) to 1 (like a camera); may '
    'be repeated; default: 0 0, 0.2 0.8 and 1 1',
  )
  return result


def draw(args: argparse.Namespace) -> None:
  """Writes a contact sheet."""
  gaps = args.gap or [(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)]
  rows = []
  for number, (photometric, local) in enumerate(gaps):
    of_row = style((photometric, local))
    pairs = [render(args.seed, 5 * number + i, style=of_row) for i in range(5)]
    rows.append(contact_sheet.rows(pairs, PALETTE))
  contact_sheet.write(np.concatenate(rows), args.out)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), draw, argv)


if __name__ == '__main__':
  main()
