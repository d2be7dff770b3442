"""Pictures of runs as data URIs for the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
import io
import pathlib
import re
from typing import NamedTuple

import numpy as np
from PIL import Image

from uda_jax import galleries
from uda_jax.report import read

# Pages shown of each kind and run: the first, the last and those between.
_MOST_PAGES = 3
# Of lossy pictures: label maps keep their colors to the eye.
_QUALITY = 88
# Columns of an evaluation page, see `runs.writers.Writer.examples`.
_COLUMNS = 4
_IMAGE, _TRUTH, _PREDICTION = 0, 1, 2

KINDS = {
  'target': 'Target images: predictions of the runs side by side',
  'evaluation': 'Evaluation images: truth and prediction',
  'worst': 'Worst images: truth, prediction and confidence',
  'best': 'Best images: truth, prediction and confidence',
  'random': 'Random images: truth, prediction and confidence',
  'step': "Panels of the method's training batches",
}


class Picture(NamedTuple):
  """An `img` element.

  Attributes:
    src: a data URI.
    alt: what the picture shows.
    width: pixels.
    height: pixels.
  """

  src: str
  alt: str
  width: int
  height: int


class Strips(NamedTuple):
  """The same images as several runs see them.

  Attributes:
    titles: image, truth, and the runs.
    pictures: one a title, of the same size.
    left_out: (name of the run, why it is not among them).
  """

  titles: tuple[str, ...]
  pictures: tuple[Picture, ...]
  left_out: tuple[tuple[str, str], ...]


def encode(pixels: Image.Image, alt: str, *, lossless: bool = False) -> Picture:
  """Encodes a picture as WebP in a data URI.

  Args:
    pixels: any.
    alt: what it shows.
    lossless: exact, which makes label maps smaller and photos larger.
  """
  buffer = io.BytesIO()
  pixels.convert('RGB').save(
    buffer, 'WEBP', quality=_QUALITY, lossless=lossless
  )
  text = base64.b64encode(buffer.getvalue()).decode()
  return Picture(f'data:image/webp;base64,{text}', alt, *pixels.size)


def pages(run: read.Run, kind: str) -> list[tuple[int, pathlib.Path]]:
  """Returns the steps and files of a run's pages of one kind, in order."""
  found = []
  for path in (run.path / 'panels').glob(f'{kind}_*.png'):
    if match := re.fullmatch(rf'{kind}_(\d+)', path.stem):
      found.append((int(match[1]), path))
  return sorted(found)


def gallery(run: read.Run, kind: str) -> tuple[list[Picture], int]:
  """Returns a run's pages of one kind, evenly spread, and how many there are.

  Args:
    run: the run.
    kind: a key of `KINDS`.
  """
  found = pages(run, kind)
  count = min(_MOST_PAGES, len(found))
  chosen = np.linspace(0, len(found) - 1, count).astype(int)
  shown = []
  for step, path in (found[i] for i in chosen):
    with Image.open(path) as image:
      alt = f'{KINDS[kind]}, {run.name}, step {step}'
      shown.append(encode(image, alt))
  return shown, len(found)


def strips(runs: Sequence[read.Run]) -> Strips | None:
  """Returns the last predictions of runs for the same evaluation images.

  Args:
    runs: the runs; the first one with evaluation pages gives the images.

  Returns:
    None unless at least two runs show the same images with the same truth.
  """
  columns, left_out, shown = None, [], []
  for run in runs:
    found = pages(run, 'evaluation')
    if not found:
      left_out.append((run.name, 'has no evaluation pictures'))
      continue
    own = _cut(run, found[-1][1])
    if columns is None:
      columns = own[:_PREDICTION]
    if not all(map(np.array_equal, own, columns)):
      left_out.append((run.name, 'was evaluated on other images'))
      continue
    shown.append((f'{run.name}, step {found[-1][0]}', own[_PREDICTION]))
  if columns is None or len(shown) < 2:
    return None
  rows = [('image', columns[_IMAGE]), ('truth', columns[_TRUTH]), *shown]
  return Strips(
    tuple(title for title, _ in rows),
    tuple(
      encode(
        Image.fromarray(pixels),
        f'evaluation images: {title}',
        lossless=title != 'image',
      )
      for title, pixels in rows
    ),
    tuple(left_out),
  )


def _cut(run: read.Run, path: pathlib.Path) -> list[np.ndarray]:
  with Image.open(path) as image:
    page = np.asarray(image.convert('RGB'))
  try:
    return galleries.gallery_columns(
      page, _COLUMNS, palette=run.palette, class_names=run.class_names
    )
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
