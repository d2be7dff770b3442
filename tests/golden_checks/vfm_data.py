"""VFM-UDA's images and labels: training examples, and sliding windows.

Every check yields (name, ours, golden, atol, rtol); sizes are read from the
files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax.numpy as jnp
import numpy as np
import tensorflow as tf

from tests.golden_checks import common
from tests.golden_checks import vfm_networks
from uda_jax import configs
from uda_jax import labels
from uda_jax import types
from uda_jax.data import cutting
from uda_jax.data import domains as domains_lib
from uda_jax.data import transforms
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import scoring
from uda_jax.ops import boxes

# Both of the released code: the whole source image, and a crop of the target.
KINDS = ('full', 'crop')


def _config():
  return configs.load('gta5_to_cityscapes/vfm_uda')


def transform(path: pathlib.Path) -> Iterator[common.Difference]:
  """Scaled, padded and cropped images, labels and margins of recorded draws."""
  config, arrays = _config(), dict(np.load(path))
  table = arrays['label_table']
  yield 'label_table', labels_of(np.arange(256)), table, *common.EXACT
  for name, d in common.cases(arrays, '.', 'label_ids'):
    spec = domains_lib.spec_of(config.data)._replace(
      image_size=(int(d['img_size']), 0),
      crop_size=(int(d['crop_size']),) * 2,
      margins=tuple(config.data.margins),
    )
    label = labels_of(d['label_ids']).astype(np.uint8)
    for kind in KINDS:
      low, high = spec.scale_range
      factor = low + (high - low) * float(d[f'{kind}.u'][0])
      full = transforms.resized_size(tf.constant(label.shape), spec, factor)
      if kind == 'full':
        window, used = whole(full), spec._replace(crop_size=(0, 0))
      else:
        top, left, *size = d['crop.box'].tolist()
        start = tf.constant([top, left])
        size = tf.minimum(tf.constant(size), full - start)
        window, used = cutting.Window(start, size, full), spec
      made = transforms.example(
        tf.constant(d['image']),
        tf.constant(label),
        window,
        tf.constant(False),
        used,
      )
      valid = d[f'{kind}.ignore_mask'] != labels.IGNORE_LABEL
      for key, golden in (
        ('image', d[f'{kind}.image']),
        ('label', d[f'{kind}.label']),
        ('valid_mask', valid),
      ):
        yield f'{name}.{kind}.{key}', made[key].numpy(), golden, *common.EXACT


def labels_of(ids: np.ndarray) -> np.ndarray:
  """Train ids of raw ids."""
  return common.train_ids(ids, labels.CITYSCAPES_IDS)


def whole(full: tf.Tensor) -> cutting.Window:
  """The window of a whole image."""
  return cutting.Window(tf.zeros(2, tf.int32), full, full)


def slide(path: pathlib.Path) -> Iterator[common.Difference]:
  """Resized as scoring resizes, mean probabilities of windows, labels."""
  d, config = common.load(path), _config()
  side, crop = int(d['img_size']), int(d['crop_size'])
  config.data.eval_image_size = config.eval.label_size = (side, 0)
  config.eval.window = (crop,) * 2
  config.eval.stride = (crop // 2,) * 2
  with common.cityscapes_val(
    config, d['image'][None], d['label_ids'][None]
  ) as data:
    (batch,) = scoring.batches(config, data, config.eval.label_size)
  yield 'resized', batch.image[0], d['resized'], *common.EXACT
  yield 'target', batch.label[0], d['target'], *common.EXACT
  how = protocol.configured(config.eval)
  size = batch.image.shape[1:3]
  found = boxes.sliding_boxes(size, *how.window)
  places = d['boxes_y1y2x1x2']
  yield 'boxes', np.asarray(found)[:, [0, 1, 2, 3]], places, *common.EXACT
  count = np.zeros(size, int)
  for top, bottom, left, right in np.asarray(found):
    count[top:bottom, left:right] += 1
  yield 'count', count, d['count'], *common.EXACT
  network = _recorded(jnp.asarray(d['logits_times8'] / 8, float), places)
  # Each pixel tells the network where it is.
  place = np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), -1)
  place = np.concatenate([place, place[..., :1]], -1)[None].astype(float)
  scores = inference.make_scores(network, how)(_NOTHING, place, size)
  probability = inference.probabilities(scores, how)[0]
  golden = d['probability_every2']
  ours = probability[::2, ::2]
  yield 'probability_every2', ours, golden, *vfm_networks.tolerance()
  label = np.argmax(probability, -1)
  yield 'prediction', label, d['prediction'], *common.EXACT


_NOTHING = types.Variables({}, {})


def _recorded(logits: jnp.ndarray, places: np.ndarray) -> types.Network:
  """A network that gives the recorded logits of the window that it sees."""

  def forward(params, batch_stats, image, **switches):
    del params, switches
    corner = image[0, 0, 0, :2]
    number = jnp.argmin(jnp.abs(corner - places[:, [0, 2]]).sum(-1))
    return types.Outputs(logits[number][None]), batch_stats

  same = lambda image: image
  return types.Network(lambda key, size: _NOTHING, forward, same, same)


CHECKS = {'vfm/transform*.npz': transform, 'vfm/slide*.npz': slide}
