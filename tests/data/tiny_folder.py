"""A folder of tiny images with labels, and configs that read it."""

import ml_collections
import numpy as np
from PIL import Image

from uda_jax.data import datasets

CLASSES = ('left', 'right', 'rare')


def write(folder, count=6, size=(12, 16)):
  """Writes images whose red channel is 40 * label, with noise in blue."""
  (folder / 'images').mkdir(parents=True)
  (folder / 'labels').mkdir()
  for number in range(count):
    random = np.random.default_rng(number)
    label = np.zeros(size, np.uint8)
    label[:, size[1] // 2 :] = 1
    label[0, :number] = 2
    label[-1] = 255
    image = np.stack(
      [
        np.where(label == 255, 200, 40 * label),
        np.full(size, number),
        random.integers(0, 256, size),
      ],
      -1,
    ).astype(np.uint8)
    Image.fromarray(image).save(folder / f'images/{number:02d}.png')
    Image.fromarray(label).save(folder / f'labels/{number:02d}.png')
  return folder


def record(**fields):
  """A folder record of `write`'s files."""
  return ml_collections.ConfigDict(
    dict(
      kind='folder',
      name='tiny',
      images='images/*.png',
      labels='labels/*.png',
      class_names=CLASSES,
    )
    | fields
  )


def load(folder, labeled=True, *, resize=None, **fields):
  """Prepares the folder beside it, and returns its manifest."""
  return datasets.load(
    record(**fields),
    root=str(folder),
    cache_dir=str(folder.parent / 'cache'),
    field='config.data.source',
    labels=labeled,
    resize=resize,
  )


def data(**fields):
  """The data block of a config, all options off."""
  return ml_collections.ConfigDict(
    dict(
      source_image_size=(0, 0),
      target_image_size=(0, 0),
      keep_ratio=False,
      resize='bilinear',
      resized_copies=False,
      crop_size=(0, 0),
      scale_range=(1.0, 1.0),
      max_class_share=1.0,
      flip=False,
      on_error='fail',
      margins=(0, 0, 0, 0),
      pad=False,
      rare_class=dict(temperature=0.0, min_pixels=3000, min_crop_ratio=0.5),
      pair=dict(crop_size=(0, 0)),
    )
    | fields
  )
