"""PixMatch's and EHTDI's augmentation against golden files, draws recorded.

Bytes are compared with bytes, stage by stage: each stage starts from what the
reference recorded before it. All are equal but two, and the READMEs allow two
grey levels: the reference's brightness is a table of float32, which now and
then falls on the other side of a whole number; and where the width is no
multiple of OpenCV's vectors, it rounds the last columns' HSV otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax.augment import cutmix
from uda_jax.augment import fourier
from uda_jax.augment import opencv_color
from uda_jax.augment import random_resized_crop
from uda_jax.augment import weak_strong
from uda_jax.models import preprocessing

Difference = common.Difference

_color = jax.jit(weak_strong.apply_color)
_crop = jax.jit(weak_strong.crop_images, static_argnums=2)
_crop_label = jax.jit(weak_strong.crop_labels, static_argnums=2)


def pixels(image: np.ndarray) -> jax.Array:
  """The bytes that a normalised image (BGR minus mean) was made from."""
  return weak_strong.to_bytes(preprocessing.CAFFE.denormalize(image))


def _draw(d: dict[str, np.ndarray]) -> weak_strong.ColorDraw:
  """The recorded draws of one image, as a group of one."""
  alpha, beta = d.get('alpha_beta', (1.0, 0.0))
  row = lambda x: jnp.asarray(x)[None]
  return weak_strong.ColorDraw(
    row(d['jitter'] > 0),
    row(alpha),
    row(beta),
    row(d.get('hsv_shift', np.zeros(3))),
    row(d['gray'] > 0),
    row(d['blur_ksize'] // 2),
  )


def _stages(d, start: np.ndarray) -> Iterator[tuple[str, np.ndarray, float]]:
  """Yields each stage of an image: its name, ours, how far ours may be."""
  as_int = lambda x: jnp.asarray(x, jnp.int32)
  now = as_int(start)
  if d['jitter']:
    yield (
      'after_bc_rgb',
      opencv_color.brightness_contrast(now, *d['alpha_beta']),
      1.0,
    )
    now = as_int(d['after_bc_rgb'])
    yield 'after_hsv_rgb', opencv_color.shift_hsv(now, d['hsv_shift']), 1.0
    now = as_int(d['after_hsv_rgb'])
  if d['gray']:
    yield 'after_gray_rgb', opencv_color.gray(now), 0.0


def augment(path: pathlib.Path) -> Iterator[Difference]:
  """Crops, each change of colour, and all of them together."""
  d = common.load(path)
  size = (int(d['size']),) * 2
  for i, (image, label) in enumerate(zip(d['x'], d['y'])):
    mine = {
      k.removeprefix(f'{i}_'): v for k, v in d.items() if k.startswith(f'{i}_')
    }
    corner, extent = np.split(mine['crop_y1x1hw'], 2)
    box = np.stack([corner, corner + extent], -1).reshape(1, 4)
    if 'crop_ij' in mine:
      yield (
        f'{i}_crop',
        random_resized_crop.crop_start(mine['crop_ij']),
        corner,
        *common.EXACT,
      )
      yield (f'{i}_seen', pixels(image), mine['seen_rgb_u8'], *common.EXACT)
    weak = _crop(pixels(image)[None], box, size)
    golden = (
      mine['after_crop_rgb'] if 'weak' not in mine else pixels(mine['weak'])
    )
    yield f'{i}_crop_rgb', weak[0], golden, *common.EXACT
    cut = _crop_label(label[None], box, size)[0]
    name = 'y_aug' if 'y_aug' in mine else 'label'
    yield f'{i}_{name}', cut, mine[name], *common.EXACT
    if 'weak' not in mine:
      for stage, ours, atol in _stages(mine, weak[0]):
        yield f'{i}_{stage}', ours, mine[stage], atol, 0.0
    name = 'x_aug' if 'x_aug' in mine else 'strong'
    strong = preprocessing.CAFFE.normalize(_color(weak, _draw(mine))[0])
    yield f'{i}_{name}', strong, mine[name], 2.0, 0.0


def cutmixes(path: pathlib.Path) -> Iterator[Difference]:
  """Both roles, equal and unequal sizes."""
  d = common.load(path)
  for case, draws in common.cases(d, '_', 'cxcy'):
    inputs = case.rsplit('_', 1)[0]
    draw = cutmix.CutMixDraw(draws['u'], draws['lam'], draws['cxcy'])
    image, label = jax.jit(cutmix.apply_cutmix)(
      d[f'{inputs}_img1'],
      d[f'{inputs}_lab1'],
      d[f'{inputs}_img2'],
      d[f'{inputs}_lab2'],
      draw,
    )
    yield f'{case}_img', image, draws['img'], 1e-3, 0.0
    yield f'{case}_lab', label, draws['lab'], *common.EXACT


def fouriers(path: pathlib.Path) -> Iterator[Difference]:
  """Equal and unequal sizes, and no amplitude exchanged at all."""
  d = common.load(path)
  for case, arrays in common.cases(d, '_', 'content'):
    share = float(arrays['L'])
    yield (
      f'{case}_b',
      fourier.block_side(arrays['content'].shape[1:3], share),
      arrays['b'],
      *common.EXACT,
    )
    ours = fourier.amplitude_mix(
      arrays['content'], arrays['style'], fraction=share, resize_style=False
    )
    yield f'{case}_out', ours, arrays['out'], 1e-3, 0.0
    if 'content_amp' in arrays:
      spectrum = np.fft.fft2(arrays['content'], axes=(1, 2))
      amplitude = np.abs(spectrum)
      yield (
        f'{case}_content_amp',
        amplitude,
        arrays['content_amp'],
        # Float32 rounds each by a share of the largest.
        1e-6 * amplitude.max(),
        1e-4,
      )


CHECKS = {
  'pixmatch/augment_*.npz': augment,
  'ehtdi/augment*.npz': augment,
  'pixmatch/cutmix*.npz': cutmixes,
  'pixmatch/fourier*.npz': fouriers,
}
