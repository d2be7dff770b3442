"""The published data sets in miniature, exactly as their publishers have them.

Palette PNGs (GTA5), 16-bit PNGs with the class in the first channel (SYNTHIA),
a label of another size than its image, reference images that are not used.
"""

import json

import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from configs import benchmarks
from uda_jax.data import datasets

SIZE = (8, 12)


def _image(path):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(path)


def _grey(path, ids):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.asarray(ids, np.uint8)).save(path)


def _palette(path, ids):
  """Index = id; the colours mean nothing."""
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(np.asarray(ids, np.uint8), mode='P')
  image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
  image.save(path)


def _sixteen_bit(path, ids):
  """Class in the first channel, instance in the second."""
  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = np.stack([ids, np.full(SIZE, 777), np.zeros(SIZE)], -1)
  path.write_bytes(tf.io.encode_png(pixels.astype(np.uint16)).numpy())


def _halves(left, right):
  ids = np.full(SIZE, left)
  ids[:, SIZE[1] // 2:] = right
  return ids


def _gta5(root):
  for name in ('00001', '00002'):
    _image(root / f'gta5/images/{name}.png')
    _palette(root / f'gta5/labels/{name}.png', _halves(7, 34))
  _palette(root / 'gta5/labels/00002.png', _halves(26, 0)[:-1])


def _synthia(root):
  _image(root / 'synthia/RGB/0000000.png')
  _sixteen_bit(root / 'synthia/GT/LABELS/0000000.png', _halves(3, 22))


def _cityscapes(root):
  for split, city in (('train', 'aachen'), ('val', 'lindau')):
    stem = f'cityscapes/{{}}/{split}/{city}/{city}_000000_000019_{{}}.png'
    _image(root / stem.format('leftImg8bit', 'leftImg8bit'))
    _grey(root / stem.format('gtFine', 'gtFine_labelIds'), _halves(26, 4))
    _grey(root / stem.format('gtFine', 'gtFine_instanceIds'), _halves(1, 1))


def _acdc(root):
  for weather in ('fog', 'night'):
    for split in ('train', 'train_ref', 'val'):
      stem = f'acdc/{{}}/{weather}/{split}/GOPR0475/GOPR0475_frame_000041_{{}}'
      _image(root / (stem.format('rgb_anon', 'rgb_anon') + '.png'))
      _grey(root / (stem.format('gt', 'gt_labelTrainIds') + '.png'),
            _halves(0, 255))


def _dark_zurich(root):
  for split, folder in (('train', 'night/GOPR0351'), ('train', 'day/GOPR0345'),
                        ('val', 'night/GOPR0356')):
    stem = f'dark_zurich/{{}}/{split}/{folder}/x_frame_000001_{{}}.png'
    _image(root / stem.format('rgb_anon', 'rgb_anon'))
    if split == 'val':
      _grey(root / stem.format('gt', 'gt_labelTrainIds'), _halves(0, 255))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  for make in (_gta5, _synthia, _cityscapes, _acdc, _dark_zurich):
    make(folder)
  return folder


def _load(block, part, root, cache):
  return datasets.load(block[part], root=str(root), cache_dir=str(cache),
                       field=f'config.data.{part}', labels=part != 'target')


@pytest.mark.parametrize('name, source, target, evaluation', [
    ('gta5_to_cityscapes', ({0: 48, 13: 48}, 2), 1, {13: 48}),
    ('synthia_to_cityscapes', ({0: 48}, 1), 1, {13: 48}),
    ('cityscapes_to_acdc', ({13: 48}, 1), 2, {0: 96}),
    ('cityscapes_to_dark_zurich', ({13: 48}, 1), 1, {0: 48}),
])
def test_benchmark(root, tmp_path, name, source, target, evaluation):
  block = getattr(benchmarks, name)()
  pixels = lambda manifest: {
      int(c): int(n) for c, n in enumerate(manifest.class_pixels.sum(0)) if n}
  first = _load(block, 'source', root, tmp_path)
  assert (pixels(first), len(first.image_paths)) == source
  unlabelled = _load(block, 'target', root, tmp_path)
  assert len(unlabelled.image_paths) == target
  assert not unlabelled.class_pixels.any()
  assert pixels(_load(block, 'evaluation', root, tmp_path)) == evaluation
  json.dumps(json.loads(block.to_json_best_effort()))


def test_a_truncated_label_is_named(root, tmp_path):
  _gta5(tmp_path)
  path = tmp_path / 'gta5/labels/00001.png'
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match='00001.png.*truncated'):
    _load(benchmarks.gta5_to_cityscapes(), 'source', tmp_path, tmp_path / 'c')
