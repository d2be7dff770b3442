"""Files like those of GTA5 and Cityscapes: the published sizes and layouts.

Rendered street scenes at full size. As PNG files they take 2.3 to 2.5 MB, as
much as those data sets' images on average do (57 GB / 24,966 and 11 GB /
5,000), with PNG's filters chosen row by row as photographs have them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import pathlib

import numpy as np
from PIL import Image

from uda_jax import flag_values
from uda_jax import labels
from uda_jax.data.streets import render

GTA5_SIZE, CITYSCAPES_SIZE = (1052, 1914), (1024, 2048)


def add_flags(group: argparse._ArgumentGroup) -> None:
  """Adds `--cache_dir` and `--images`."""
  group.add_argument(
    '--cache_dir',
    type=pathlib.Path,
    required=True,
    metavar='DIR',
    help='where the files are written, once',
  )
  group.add_argument(
    '--images',
    type=flag_values.at_least(1),
    default=6,
    metavar='N',
    help='files of each data set; default: 6',
  )


def _raw_ids() -> np.ndarray:
  """Returns the label id of each class of the rendered streets."""
  names = [
    'traffic sign' if name == 'sign' else name for name in render.CLASSES
  ]
  raw = {train_id: i for i, train_id in labels.GTA5_IDS.items()}
  return np.array(
    [raw[labels.CITYSCAPES_CLASSES.index(n)] for n in names], np.uint8
  )


def _scenes(
  first: int, count: int, size: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  style = render.style(gap=(0.0, 0.0))
  for index in range(first, first + count):
    yield render.render(0, index, size=size, style=style)


def _save(image: np.ndarray, path: pathlib.Path) -> None:
  Image.fromarray(image).save(f'{path}.png')
  Image.fromarray(image).save(f'{path}.jpg', quality=95)


def write(
  root: pathlib.Path,
  count: int,
  *,
  gta5_size: tuple[int, int] = GTA5_SIZE,
  cityscapes_size: tuple[int, int] = CITYSCAPES_SIZE,
) -> None:
  """Writes `count` images of each data set, unless they are there.

  Args:
    root: becomes `config.data.root`: `gta5/images/*.png`, palette labels in
      `gta5/labels`, images in `cityscapes/leftImg8bit/train/town`; and each
      image as a JPEG of quality 95 beside it.
    count: images of each.
    gta5_size: (height, width).
    cityscapes_size: (height, width).
  """
  done = root / f'{count}_images'
  if done.exists():
    return
  images, truth = root / 'gta5/images', root / 'gta5/labels'
  town = root / 'cityscapes/leftImg8bit/train/town'
  for folder in (images, truth, town):
    folder.mkdir(parents=True, exist_ok=True)
  palette = np.zeros((256, 3), np.uint8)
  palette[_raw_ids()] = render.PALETTE
  for i, (image, label) in enumerate(_scenes(0, count, gta5_size)):
    _save(image, images / f'{i:05}')
    colors = Image.fromarray(_raw_ids()[label])
    colors.putpalette(palette.tobytes())
    colors.save(truth / f'{i:05}.png')
  for i, (image, _) in enumerate(_scenes(count, count, cityscapes_size)):
    _save(image, town / f'town_{i:06}_leftImg8bit')
  done.touch()
