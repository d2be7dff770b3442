"""Rendered stand-ins for the published data sets, in their layouts and sizes.

  python -m benchmarks.published_trees --out=DIR [--images=4]

writes folders `gta5`, `synthia`, `cityscapes`, `acdc` and `dark_zurich` as
their publishers pack them: names, sub-folders, image sizes, label formats
(palette, 16 bit, label ids, train ids) and GTA5's `split.mat`. The scenes are
rendered, a handful a split. They show that every command runs on data of the
published form; no score on them means anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import pathlib
import shutil

import numpy as np
from PIL import Image

from uda_jax import labels
from uda_jax.data.streets import render

# Rendered class -> Cityscapes train id of the same name.
_TRAIN_IDS = np.array(
  [
    labels.CITYSCAPES_CLASSES.index({'sign': 'traffic sign'}.get(name, name))
    for name in render.CLASSES
  ],
  np.uint8,
)
_GAME, _CAMERA = (0.0, 0.0), (0.2, 0.8)
# Rendered at this fraction of the size and enlarged, to take seconds.
_SHRINK = 4


def _scene(
  index: int, size: tuple[int, int], gap: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
  """Renders an image [H, W, 3] uint8 and its train ids [H, W] uint8."""
  height, width = size
  small = -(-height // _SHRINK), -(-width // _SHRINK)
  image, label = render.render(0, index, size=small, style=render.style(gap))
  enlarged = Image.fromarray(image).resize(
    (width, height), Image.Resampling.BICUBIC
  )
  ids = Image.fromarray(_TRAIN_IDS[label]).resize(
    (width, height), Image.Resampling.NEAREST
  )
  # Smooth enlargements compress and decode unlike photos: a little grain.
  grain = np.random.default_rng(index).integers(-4, 5, (height, width, 1))
  pixels = np.clip(np.asarray(enlarged, np.int16) + grain, 0, 255)
  return pixels.astype(np.uint8), np.asarray(ids)


def _raw_ids(train: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
  """Turns train ids into the raw ids of a data set: {raw id: train id}."""
  raw = np.zeros(256, np.uint8)
  for raw_id, train_id in sorted(table.items(), reverse=True):
    raw[train_id] = raw_id
  return raw[train]


def _save(path: pathlib.Path, pixels: np.ndarray) -> Image.Image:
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(pixels)
  image.save(path, compress_level=1)
  return image


def _palette(path: pathlib.Path, ids: np.ndarray) -> None:
  """Saves ids as the indices of a palette PNG, as GTA5's labels are."""
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(ids, mode='P')
  colors = np.random.default_rng(0).integers(0, 256, 768)
  image.putpalette(colors.tolist())
  image.save(path, compress_level=1)


def _sixteen_bit(path: pathlib.Path, ids: np.ndarray) -> None:
  """Saves a 16-bit RGB PNG: class, instance, 0, as SYNTHIA's labels are."""
  import tensorflow as tf

  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = np.stack([ids, np.full_like(ids, 7), np.zeros_like(ids)], -1)
  path.write_bytes(tf.io.encode_png(pixels.astype(np.uint16)).numpy())


def gta5(root: pathlib.Path, count: int) -> None:
  """Writes images/00001.png, labels/00001.png (palette) and split.mat."""
  from scipy import io

  for number in range(1, count + 1):
    image, label = _scene(number, (1052, 1914), _GAME)
    _save(root / f'gta5/images/{number:05d}.png', image)
    ids = _raw_ids(label, labels.GTA5_IDS)
    _palette(root / f'gta5/labels/{number:05d}.png', ids)
  numbers = np.arange(1, count + 1)[:, None].astype(np.uint16)
  half = (count + 1) // 2
  io.savemat(
    root / 'gta5/split.mat',
    {
      'trainIds': numbers[:half],
      'valIds': numbers[half:],
      'testIds': numbers[:0],
    },
  )


def synthia(root: pathlib.Path, count: int) -> None:
  """Writes RGB/0000000.png and GT/LABELS/0000000.png (16 bit)."""
  for number in range(count):
    image, label = _scene(number, (760, 1280), _GAME)
    _save(root / f'synthia/RGB/{number:07d}.png', image)
    ids = _raw_ids(label, labels.SYNTHIA_IDS)
    _sixteen_bit(root / f'synthia/GT/LABELS/{number:07d}.png', ids)


def cityscapes(root: pathlib.Path, count: int) -> None:
  """Writes leftImg8bit and gtFine of train and val, a city each."""
  for first, split, city in ((0, 'train', 'aachen'), (500, 'val', 'lindau')):
    for number in range(count):
      image, label = _scene(first + number, (1024, 2048), _CAMERA)
      stem = f'{split}/{city}/{city}_{number:06d}_000019'
      _save(root / f'cityscapes/leftImg8bit/{stem}_leftImg8bit.png', image)
      ids = _raw_ids(label, labels.CITYSCAPES_IDS)
      _save(root / f'cityscapes/gtFine/{stem}_gtFine_labelIds.png', ids)


def acdc(root: pathlib.Path, count: int) -> None:
  """Writes rgb_anon of four conditions, with labels for train and val."""
  for place, condition in enumerate(('fog', 'night', 'rain', 'snow')):
    for split in ('train', 'val', 'test'):
      for number in range(-(-count // 4)):
        index = 1000 + 100 * place + number + 10 * (split == 'val')
        image, label = _scene(index, (1080, 1920), _CAMERA)
        sequence = f'GOPR{475 + place:04d}'  # each condition has its own
        stem = f'{condition}/{split}/{sequence}/{sequence}_frame_{number:06d}'
        _save(root / f'acdc/rgb_anon/{stem}_rgb_anon.png', image)
        if split != 'test':
          _save(root / f'acdc/gt/{stem}_gt_labelTrainIds.png', label)


def dark_zurich(root: pathlib.Path, count: int) -> None:
  """Writes rgb_anon of train, val and test by night; labels for val."""
  for first, split in ((0, 'train'), (100, 'val'), (200, 'test')):
    for number in range(count):
      image, label = _scene(2000 + first + number, (1080, 1920), _CAMERA)
      stem = f'{split}/night/GOPR0356/GOPR0356_frame_{number:06d}'
      _save(root / f'dark_zurich/rgb_anon/{stem}_rgb_anon.png', image)
      if split == 'val':
        _save(root / f'dark_zurich/gt/{stem}_gt_labelTrainIds.png', label)


TREES = {
  'gta5': gta5,
  'synthia': synthia,
  'cityscapes': cityscapes,
  'acdc': acdc,
  'dark_zurich': dark_zurich,
}


def write(root: pathlib.Path, *, images: int = 4) -> None:
  """Writes the missing trees; an incomplete one is written again.

  Args:
    root: the folder for all of them.
    images: of each split.
  """
  for name, make in TREES.items():
    done = root / name / '.complete'
    if not done.exists() or done.read_text() != str(images):
      shutil.rmtree(root / name, ignore_errors=True)
      make(root, images)
      done.write_text(str(images))


def main() -> None:
  """Reads the arguments."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument(
    '--images', type=int, default=4, help='of each split (default: 4)'
  )
  args = parser.parse_args()
  write(args.out, images=args.images)


if __name__ == '__main__':
  main()
