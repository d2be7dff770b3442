"""The data sets of the benchmarks in miniature, exactly as they are published.

Palette PNGs (GTA5, CamVid), 16-bit PNGs with the class in the first channel
(SYNTHIA), a label of another size than its image, images that are not used.
"""

import numpy as np
from PIL import Image
import tensorflow as tf

SIZE = (8, 12)


def _image(path):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(path)


def _gray(path, ids):
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
  ids[:, SIZE[1] // 2 :] = right
  return ids


def _gta5(root):
  for name in ('00001', '00002'):
    _image(root / f'gta5/images/{name}.png')
    _palette(root / f'gta5/labels/{name}.png', _halves(7, 34))
  _palette(root / 'gta5/labels/00002.png', _halves(26, 0)[:, 1:])


def _synthia(root):
  _image(root / 'synthia/RGB/0000000.png')
  _sixteen_bit(root / 'synthia/GT/LABELS/0000000.png', _halves(3, 22))


def _cityscapes(root):
  for split, city in (('train', 'aachen'), ('val', 'lindau')):
    stem = f'cityscapes/{{}}/{split}/{city}/{city}_000000_000019_{{}}.png'
    _image(root / stem.format('leftImg8bit', 'leftImg8bit'))
    _gray(root / stem.format('gtFine', 'gtFine_labelIds'), _halves(26, 4))
    _gray(root / stem.format('gtFine', 'gtFine_instanceIds'), _halves(1, 1))


def _acdc(root):
  for weather in ('fog', 'night'):
    for split in ('train', 'train_ref', 'val'):
      stem = f'acdc/{{}}/{weather}/{split}/GOPR0475/GOPR0475_frame_000041_{{}}'
      _image(root / (stem.format('rgb_anon', 'rgb_anon') + '.png'))
      _gray(
        root / (stem.format('gt', 'gt_labelTrainIds') + '.png'), _halves(0, 255)
      )


def _lists(root, folder, names, ids):
  """Images, palette labels and a list for each split."""
  for split in names:
    path = root / folder
    image = path / f'images/{split}.jpg'
    _image(image)
    _palette(path / f'labels/{split}.png', ids)
    (path / f'{split}.txt').write_text(f'{split}\n')


def _camvid(root):
  names = ('day_train', 'day_test', 'dusk_train', 'dusk_test')
  _lists(root, 'camvid', names, _halves(3, 255))
  # The last five of this list are left out.
  for number in range(5):
    _image(root / f'camvid/images/last{number}.jpg')
  with (root / 'camvid/dusk_train.txt').open('a') as file:
    file.write(''.join(f'last{number}\n' for number in range(5)))


def _idd_lite(root):
  _lists(root, 'idd_lite', ('train', 'val'), _halves(0, 6))


def _dark_zurich(root):
  for split, folder in (
    ('train', 'night/GOPR0351'),
    ('train', 'day/GOPR0345'),
    ('val', 'night/GOPR0356'),
  ):
    stem = f'dark_zurich/{{}}/{split}/{folder}/x_frame_000001_{{}}.png'
    _image(root / stem.format('rgb_anon', 'rgb_anon'))
    if split == 'val':
      _gray(root / stem.format('gt', 'gt_labelTrainIds'), _halves(0, 255))


def _bdd100k(root):
  for split in ('train', 'val'):
    _image(root / f'bdd100k/images/10k/{split}/0004a4c0-d4dff0ad.jpg')
    _gray(
      root / f'bdd100k/labels/sem_seg/masks/{split}/0004a4c0-d4dff0ad.png',
      _halves(13, 255),
    )
  # Colors of the same names, and images of the other package.
  colors = 'bdd100k/labels/sem_seg/colormaps/val/0004a4c0-d4dff0ad.png'
  _image(root / colors)
  _image(root / 'bdd100k/images/100k/val/0004a4c0-d4dff0ad.jpg')


def _mapillary(root):
  for split in ('training', 'validation'):
    path, name = root / 'mapillary' / split, '_-1-ZJ6c2wYs'
    _image(path / f'images/{name}.jpg')
    # Lane marking, and mountain, which is no class.
    _palette(path / f'v1.2/labels/{name}.png', _halves(24, 25))
    _palette(path / f'v2.0/labels/{name}.png', _halves(120, 1))


def _wilddash(root):
  for number, ids in enumerate(((35, 38), (26, 36))):
    _image(root / f'wilddash/images/cn000{number}_100000.jpg')
    _gray(root / f'wilddash/labels/cn000{number}_100000.png', _halves(*ids))


def _synscapes(root):
  for number in (1, 2):
    _image(root / f'synscapes/img/rgb/{number}.png')
    _gray(root / f'synscapes/img/class/{number}.png', _halves(26, 4))


def write(root):
  """Writes all of them below `root`."""
  for make in (
    _gta5,
    _synthia,
    _cityscapes,
    _acdc,
    _dark_zurich,
    _bdd100k,
    _mapillary,
    _wilddash,
    _synscapes,
    _camvid,
    _idd_lite,
  ):
    make(root)
  return root
