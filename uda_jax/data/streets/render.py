"""Rendered street scenes: the embedded benchmark, pixel-exact and endless.

A scene is a pure function of (seed, index): a pin-hole camera looks along a
street of houses; every pixel is the surface that its ray meets first, so the
labels are exact. A domain is a `Style`; see `streets_style` for the gap.

A contact sheet, images over labels, a row a gap:

  python -m uda_jax.data.streets.render --out=sheet.png
"""

from __future__ import annotations

import argparse

import numpy as np

from uda_jax.data.streets import camera as camera_lib
from uda_jax.data.streets import objects
from uda_jax.data.streets import scene
from uda_jax.data.streets import style as style_lib

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
  canvas = scene.Canvas(
    np.zeros((*size, 3), np.float32),
    np.zeros(size, np.uint8),
    np.zeros(size, np.float32),
  )
  camera = scene.draw_camera(random, size)
  layout = scene.draw_layout(random)
  horizon = scene.paint_sky(canvas, camera, style, random)
  scene.paint_ground(canvas, camera, layout, style, random)
  for wall in scene.walls(camera, layout, size[1]):
    scene.paint_houses(canvas, camera, wall, style, random)
  scene.paint_fences(canvas, camera, layout, style, random)
  objects.place(canvas, camera, layout, style, random)
  image = camera_lib.expose(canvas.image, canvas.depth, horizon, style, random)
  return image, canvas.label


def contact_sheet(
  gaps: list[tuple[float, float]], *, seed: int = 0, columns: int = 5
) -> np.ndarray:
  """Returns [H, W, 3] uint8: for each gap, a row of images and of labels."""
  palette = np.array(PALETTE, np.uint8)
  rows = []
  for number, gap in enumerate(gaps):
    pairs = [
      render(seed, number * columns + i, style=style(gap))
      for i in range(columns)
    ]
    rows.append(np.concatenate([image for image, _ in pairs], 1))
    rows.append(np.concatenate([palette[label] for _, label in pairs], 1))
  return np.concatenate(rows)


def main() -> None:
  """Writes a contact sheet."""
  from PIL import Image

  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', required=True, help='the PNG to write')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--gap',
    type=float,
    nargs=2,
    action='append',
    metavar=('PHOTOMETRIC', 'LOCAL'),
    help='a row; default: game, benchmark, camera',
  )
  args = parser.parse_args()
  gaps = args.gap or [(0.0, 0.0), (0.2, 0.8), (1.0, 1.0)]
  sheet = contact_sheet([tuple(g) for g in gaps], seed=args.seed)
  Image.fromarray(sheet).save(args.out, optimize=True)


if __name__ == '__main__':
  main()
