"""PixMatch's images and labels from files to network inputs."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import configs
from uda_jax.augment import pillow_blur
from uda_jax.evaluate import scoring
from uda_jax.models import preprocessing


def _resized(image: np.ndarray, ids: np.ndarray, full: np.ndarray):
  """The pixels and the train ids that a run of PixMatch is trained on."""
  config = configs.load('gta5_to_cityscapes/pixmatch')
  config.data.source_image_size = tuple(full.tolist())
  # The recorded mirrors, not those of a seed.
  config.data.flip = False
  example, _ = common.training_examples(config, 'evaluation', image, ids)
  return example['image'], example['label']


def _scored(image: np.ndarray, ids: np.ndarray, full: np.ndarray):
  """The pixels and the train ids that scoring a run of PixMatch compares."""
  config = configs.load('gta5_to_cityscapes/pixmatch')
  config.data.eval_image_size = config.eval.label_size = tuple(full.tolist())
  with common.cityscapes_val(config, image[None], ids[None]) as data:
    (batch,) = scoring.batches(config, data, config.eval.label_size)
  return batch.image[0], batch.label[0]


def preprocess(path: pathlib.Path) -> Iterator[common.Difference]:
  """Resized as Pillow does, blurred as Pillow does, in Caffe's colours.

  Scoring resizes with Pillow. Training has floats for Pillow's weights of 22
  bits: within one grey level, which the README allows.
  """
  d = dict(np.load(path))
  full = d['crop_wh'][::-1].astype(np.int32)
  normalize = preprocessing.CAFFE.normalize
  pixels, label = _scored(d['rgb'], d['ids'], full)
  yield 'val_resized_rgb_u8', pixels, d['val_resized_rgb_u8'], *common.EXACT
  yield 'val_x', normalize(pixels), d['val_x'], 1e-5, 0.0
  yield 'val_y', label, common.to_255(d['val_y']), *common.EXACT
  for name in sorted(k for k in d if re.fullmatch(r'train\d+_x', k)):
    case = name.removesuffix('_x')
    side = -1 if d[f'{case}_flip'] else 1
    pixels, label = _resized(
      d['rgb'][:, ::side].copy(), d['ids'][:, ::side].copy(), full
    )
    if d[f'{case}_blur']:
      pixels = pillow_blur.pillow_gaussian_blur(
        jnp.asarray(pixels)[None], jnp.asarray(d[f'{case}_radius'])[None]
      )[0]
    yield name, normalize(pixels), d[name], 1 + 1e-5, 0.0
    truth = common.to_255(d[f'{case}_y'])
    yield f'{case}_y', label, truth, *common.EXACT


CHECKS = {'pixmatch/preprocess*.npz': preprocess}
