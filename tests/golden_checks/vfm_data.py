"""VFM-UDA's images: resizing, margins, padding, and how it scores.

Every check yields (name, ours, golden, atol, rtol); sizes are read from the
files. What no file has is read from the config `gta5_to_cityscapes/vfm_uda`.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf

from tests.golden_checks import common
from uda_jax import configs
from uda_jax import labels
from uda_jax import types
from uda_jax.data import transforms
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import windows
from uda_jax.ops import boxes

# Gray levels: Pillow's weights are fixed-point numbers.
PIXELS = 1.0


def _config():
  return configs.load('gta5_to_cityscapes/vfm_uda')


def _spec(side: int, crop: int) -> transforms.Spec:
  """The config's transforms for images of another size."""
  data = _config().data
  assert tuple(data.target_image_size) == (1024, 2048)
  return transforms.Spec(
    image_size=(side, 2 * side),
    keep_ratio=data.keep_ratio,
    resize=data.resize,
    crop_size=(crop, crop),
    scale_range=tuple(data.scale_range),
    margins=tuple(data.margins),
    pad=data.pad,
  )


def transform(path: pathlib.Path) -> Iterator[common.Difference]:
  """Recorded scales and crops: pixels, train ids, ignored margins."""
  arrays = common.load(path)
  for name, d in common.cases(arrays, '.', 'label_ids'):
    image, ids = tf.constant(d['image']), arrays['label_table'][d['label_ids']]
    spec = _spec(int(d['img_size']), int(d['crop_size']))
    for kind in ('full', 'crop'):
      low, high = spec.scale_range
      factor = low + (high - low) * float(d[f'{kind}.u'][0])
      full = transforms.resized_size(tf.shape(image)[:2], spec, factor)
      box = np.int32([0, 0, *full])
      if kind == 'crop':
        box = d['crop.box']
      box[2:] = np.minimum(box[2:], full)
      window = transforms.Window(box[:2], box[2:], full)
      size = tf.shape(image)[:2]
      values = {
        'image': transforms.cut_image(image, window, spec.resize),
        'label': transforms.cut_label(
          tf.constant(ids.astype(np.uint8)), window, spec.resize
        ),
        'valid_mask': transforms.valid_mask(window, spec.margins, size),
      }
      padded = spec._replace(crop_size=d[f'{kind}.image'].shape[:2])
      values = transforms.finish(values, tf.constant(False), padded)
      ours = {
        'image': values['image'],
        'label': values['label'],
        'ignore_mask': tf.where(values['valid_mask'], 0, labels.IGNORE_LABEL),
      }
      for key, value in ours.items():
        atol = PIXELS if key == 'image' else 0.0
        yield f'{name}.{kind}.{key}', value.numpy(), d[f'{kind}.{key}'], atol, 0


def _network(logits: np.ndarray, corners: np.ndarray) -> types.Network:
  """The logits of each window, told apart by its corner in the image (y, x)."""

  def forward(params, batch_stats, image, **switches):
    del params, switches
    here = (image[0, 0, 0, :2] == corners).all(-1)
    return types.Outputs(
      jnp.asarray(logits)[jnp.argmax(here)][None]
    ), batch_stats

  same = lambda image: image
  init = lambda key, size: types.Variables({}, {})
  return types.Network(init, forward, same, same)


def slide(path: pathlib.Path) -> Iterator[common.Difference]:
  """Labels at the size of the image; probabilities averaged over windows."""
  d = common.load(path)
  size = d['target'].shape
  whole = transforms.Window(np.zeros(2, np.int32), size, size)
  ids = d['label_ids']
  label = transforms.cut_label(tf.constant(ids), whole, 'pillow_bilinear')
  table = np.full(256, labels.IGNORE_LABEL)
  for raw, train in _config().data.evaluation.label_map:
    table[raw] = train
  yield 'target', table[label.numpy()], d['target'], *common.EXACT
  image = transforms.cut_image(
    tf.constant(d['image']), whole, 'pillow_bilinear'
  )
  yield 'resized', image.numpy(), d['resized'], PIXELS, 0
  crop = int(d['crop_size'])
  how = protocol.configured(_config().eval)
  assert how.window.stride[0] * 2 == how.window.size[0]
  window = windows.Window((crop, crop), (crop // 2, crop // 2))
  found = boxes.sliding_boxes(size, *window)
  yield 'boxes', found, d['boxes_y1y2x1x2'], *common.EXACT
  corners = d['boxes_y1y2x1x2'][:, [0, 2]]
  network = _network(d['logits_times8'] / 8, corners)
  places = np.stack([*np.mgrid[: size[0], : size[1]], np.zeros(size)], -1)
  scores = inference.make_scores(network, how._replace(window=window))
  ours = jax.jit(scores, static_argnums=2)(
    types.Variables({}, {}), jnp.asarray(places)[None], size
  )[0]
  yield (
    'probability',
    ours[::2, ::2],
    d['probability_every2'],
    *common.tolerance(),
  )
  yield 'prediction', ours.argmax(-1), d['prediction'], *common.EXACT


CHECKS = {'vfm/transform*.npz': transform, 'vfm/slide*.npz': slide}
