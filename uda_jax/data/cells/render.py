"""Rendered cells: a small pair of data sets that shows no street.

A scene is a pure function of (seed, index): cells, whose outlines are ellipses
with waves, overlap at random; each has a nucleus. Red blood cells have none.
Dust is background. What is seen is the light that the dyes leave, so nuclei are
dark through a cell that lies over them, too. Scenes of both laboratories have
the same statistics.

As a command it draws a contact sheet, images over labels, a row a laboratory:

  python -m uda_jax.data.cells.render --out=sheet.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from uda_jax import cli
from uda_jax.data import contact_sheet
from uda_jax.data.cells import labs
from uda_jax.data.cells import record as record_lib
from uda_jax.data.town import textures

CLASSES = ('background', 'cytoplasm', 'nucleus', 'red cell')
PALETTE = ((235, 235, 235), (240, 160, 190), (90, 60, 150), (200, 40, 40))
_BACKGROUND, _CYTOPLASM, _NUCLEUS, _RED_CELL = range(len(CLASSES))


def scene(
  record: record_lib.CellsRecord, number: int
) -> tuple[np.ndarray, np.ndarray]:
  """Renders scene `number` of a data set; see `render`."""
  return render(record.seed, number, size=record.image_size, lab=record.lab)


def render(
  seed: int, index: int, *, size: tuple[int, int] = (96, 96), lab: str
) -> tuple[np.ndarray, np.ndarray]:
  """Renders one scene.

  Args:
    seed: of the slides.
    index: of the scene, >= 0.
    size: (height, width), at least (32, 32).
    lab: one of `labs.LABS`.

  Returns:
    image [H, W, 3] uint8 and label [H, W] uint8, an index into `CLASSES`.
  """
  if min(size) < 32:
    raise ValueError(f'size: expected at least (32, 32), got {tuple(size)}')
  if lab not in labs.LABS:
    raise ValueError(f'lab: expected one of {sorted(labs.LABS)}, got {lab!r}')
  style = labs.LABS[lab]
  random = np.random.default_rng([seed, index, 2])
  slide = np.exp(style.spread * random.normal(size=2))
  label = np.full(size, _BACKGROUND, np.uint8)
  dyes = np.ones((*size, 2), np.float32) * (style.slide * slide)
  noise = textures.look_up(
    'stained', *_grid(size, random.uniform(0, 256, 2), 1.7)
  )
  area = size[0] * size[1] / 96**2
  kinds = [_cell] * random.poisson(11 * area) + [_red_cell] * random.poisson(
    3.5 * area
  )
  for kind in random.permutation(np.array(kinds, object)):
    amount = slide * np.exp(style.spread / 2 * random.normal(size=2))
    kind(dyes, label, style, amount, noise, random)
  for _ in range(random.poisson(3 * area)):
    dust = _ellipse(size, random, radius=random.uniform(0.8, 1.8))[0] < 1
    dyes[dust] += random.uniform(0.3, 0.8)
  return _expose(dyes, style, random), label


def _grid(size, offset, scale):
  """Returns rows [H, 1] and columns [1, W] of scaled, shifted coordinates."""
  rows = np.arange(size[0], dtype=np.float32)[:, None]
  columns = np.arange(size[1], dtype=np.float32)[None]
  return rows * scale + offset[0], columns * scale + offset[1]


def _ellipse(size, random, *, radius, at=None, waves=0.0):
  """Returns the squared distance in radii from an outline's middle, and it."""
  if at is None:
    at = random.uniform(-4, np.array(size) + 4)
  turn, flat = random.uniform(0, np.pi), random.uniform(0.75, 1.0)
  y, x = _grid(size, -np.asarray(at), 1.0)
  u = (np.cos(turn) * x + np.sin(turn) * y) / radius
  v = (np.cos(turn) * y - np.sin(turn) * x) / (radius * flat)
  square = u * u + v * v
  if waves:
    angle = np.arctan2(v, u)
    heights = random.normal(size=3) * waves
    phases = random.uniform(0, 2 * np.pi, 3)
    square = square / (
      1
      + sum(
        height * np.cos((n + 2) * angle + phase)
        for n, (height, phase) in enumerate(zip(heights, phases))
      )
    )
  return square, at


def _cell(dyes, label, style, amount, noise, random) -> None:
  """Adds a cell: cytoplasm, and a nucleus that lies in it."""
  size, radius = label.shape, random.uniform(8, 13)
  body, at = _ellipse(size, random, radius=radius, waves=0.12)
  where = at + radius * 0.25 * random.uniform(-1, 1, 2)
  core, _ = _ellipse(
    size,
    random,
    radius=radius * random.uniform(0.38, 0.55),
    at=where,
    waves=0.08,
  )
  grain = 1 + style.grain * noise
  inside, nucleus = body < 1, core < 1
  # The rim of a cell is a little thicker.
  rim = np.where(body > 0.75, 1.25, 1.0)
  thick = (grain * rim)[inside][:, None]
  dyes[inside] += thick * (style.cytoplasm * amount)
  coarse = (1 + 1.5 * style.grain * noise)[nucleus][:, None]
  dyes[nucleus] += coarse * (style.nucleus * amount)
  for _ in range(random.integers(0, 3)):
    dot, _ = _ellipse(
      size, random, radius=1.3, at=where + random.normal(size=2)
    )
    dyes[(dot < 1) & nucleus] += 0.4 * (style.nucleus * amount)
  label[inside & (label != _NUCLEUS)] = _CYTOPLASM
  label[nucleus] = _NUCLEUS


def _red_cell(dyes, label, style, amount, noise, random) -> None:
  """Adds a red blood cell: a disc that is paler in its middle."""
  radius = random.uniform(4, 5.5)
  body, _ = _ellipse(label.shape, random, radius=radius)
  inside = (body < 1) & (label != _NUCLEUS)
  pale = (0.6 + 0.4 * np.minimum(body, 1))[inside][:, None]
  dyes[inside] += pale * (style.red_cell * amount)
  label[inside] = _RED_CELL


def _expose(dyes, style, random) -> np.ndarray:
  """Returns the pixels of the light that the dyes leave."""
  size = dyes.shape[:2]
  light = np.exp(-np.maximum(dyes, 0).astype(np.float32) @ style.dyes)
  middle = -np.array(size) * random.uniform(0.3, 0.7, 2)
  y, x = _grid(size, middle, 1.0)
  far = (y * y + x * x) / (size[0] ** 2 + size[1] ** 2)
  light *= style.lamp * (1 - 2 * style.uneven * far)[..., None]
  light = _blur(light, style.blur)
  light += style.noise * random.standard_normal(light.shape, np.float32)
  return (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
  """Blurs with five taps an axis."""
  taps = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2).astype(np.float32)
  taps /= taps.sum()
  height, width = image.shape[:2]
  padded = np.pad(image, ((2, 2), (0, 0), (0, 0)), 'edge')
  image = sum(tap * padded[i : i + height] for i, tap in enumerate(taps))
  padded = np.pad(image, ((0, 0), (2, 2), (0, 0)), 'edge')
  return sum(tap * padded[:, i : i + width] for i, tap in enumerate(taps))


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.data.cells.render', __doc__)
  group = result.add_argument_group('contact sheet')
  cli.add_out(group, 'the PNG to write')
  cli.add_seed(group, 'of the slides')
  return result


def draw(args: argparse.Namespace) -> None:
  """Writes a contact sheet."""
  rows = []
  for number, lab in enumerate(labs.LABS):
    pairs = [render(args.seed, 8 * number + i, lab=lab) for i in range(8)]
    rows.append(contact_sheet.rows(pairs, PALETTE))
  contact_sheet.write(np.concatenate(rows), args.out)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), draw, argv)


if __name__ == '__main__':
  main()
