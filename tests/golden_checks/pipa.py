"""PiPa: sampling of pixels, the contrasts, the source pass.

Recorded draws enter as samples; sizes are read from the files.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import tensorflow as tf

from tests.golden_checks import common
from tests.golden_checks import transformers
from uda_jax import labels
from uda_jax import types
from uda_jax.data import pair_crops
from uda_jax.losses import patch_bank
from uda_jax.losses import pixel_contrast as pixel_lib
from uda_jax.methods import pipa_patches
from uda_jax.models import extra_heads
from uda_jax.models.weights import state_dict
from uda_jax.ops import resize

_contrast = jax.jit(jax.value_and_grad(pixel_lib.supervised_contrastive))
_pixel_contrast = jax.jit(jax.value_and_grad(pixel_lib.sampled_pixel_contrast))


def contrast_core(path: pathlib.Path) -> Iterator[common.Difference]:
  """The contrast of given vectors, and its gradient."""
  for case, d in common.cases(common.load(path), '.', 'X'):
    rows, views, depth = d['X'].shape
    loss, gradient = _contrast(
      d['X'].reshape(-1, depth), np.repeat(d['cls'], views)
    )
    yield f'{case}.loss', loss, d['loss'], *common.tolerance()
    yield (
      f'{case}.dX',
      gradient.reshape(rows, views, depth),
      d['dX'],
      *common.tolerance(),
    )


def hard_easy_counts(path: pathlib.Path) -> Iterator[common.Difference]:
  """Checks the numbers of hard and easy pixels that are kept."""
  hard, easy, views, *kept = np.load(path)['table'].T
  ours = pixel_lib.hard_easy_counts(hard, easy, views)
  yield 'table', np.stack(ours), np.stack(kept), *common.EXACT


def recorded_sample(
  d: dict[str, np.ndarray], max_samples: int
) -> pixel_lib.PixelSample:
  """A recorded table of pixels (rows, views) as a sample."""
  rows, views = d['index'].shape
  cells = int(np.prod(d['label_small'].shape[1:]))
  filling = max_samples - rows * views
  pad = lambda x, value: np.append(x.ravel(), value).astype(np.int32)
  beyond = d['label_small'].size + np.arange(filling)
  return pixel_lib.PixelSample(
    pad(d['index'] + cells * d['image'][:, None], beyond),
    pad(np.repeat(d['cls'], views), np.zeros(filling)),
    np.arange(max_samples) < rows * views,
  )


def sampling(
  case: str, d: dict[str, np.ndarray], predicted: np.ndarray
) -> Iterator[common.Difference]:
  """Draws a sample and compares what does not depend on the draw.

  That is rows and classes, number and kind of the pixels of each row; and that
  pixels differ and are of their class.
  """
  label = d['label_small']
  num_classes = (
    int(np.max(label, where=label != labels.IGNORE_LABEL, initial=0)) + 1
  )
  ours = pixel_lib.draw_pixels(
    jax.random.key(0),
    jnp.asarray(label),
    jnp.asarray(predicted),
    num_classes=num_classes,
    max_views=int(d['max_views']),
    max_samples=int(d['max_samples']),
    include_ignore=True,
  )
  golden = recorded_sample(d, int(d['max_samples']))
  yield f'{case}.valid', ours.valid_mask, golden.valid_mask, *common.EXACT
  valid = golden.valid_mask
  facts = lambda sample: np.stack(
    [
      np.asarray(sample.label)[valid],
      label.ravel()[np.asarray(sample.indices)[valid]],
      np.asarray(sample.indices)[valid] // label[0].size,
      (label == predicted).ravel()[np.asarray(sample.indices)[valid]],
    ]
  )
  yield f'{case}.rows', facts(ours), facts(golden), *common.EXACT
  different = len(np.unique(ours.indices))
  yield f'{case}.different', different, len(valid), *common.EXACT


def pixel_contrast(path: pathlib.Path) -> Iterator[common.Difference]:
  """Label, sample, loss and gradient."""
  for case, d in common.cases(common.load(path), '.', 'embed'):
    small = resize.nearest(jnp.asarray(d['label']), d['embed'].shape[1:3])
    yield f'{case}.label_small', small, d['label_small'], *common.EXACT
    yield from sampling(case, d, d['predict'])
    loss, gradient = _pixel_contrast(
      jnp.asarray(d['embed']), recorded_sample(d, int(d['max_samples']))
    )
    yield f'{case}.loss', loss, d['loss'], *common.tolerance()
    yield f'{case}.dembed', gradient, d['dembed'], *common.tolerance()


def pair_crop(path: pathlib.Path) -> Iterator[common.Difference]:
  """Corners, boxes and the number of draws, from recorded integer draws."""
  d = dict(np.load(path))
  for i, (height, width, _, side, stride) in enumerate(d['meta']):
    pair = pair_crops.Spec(
      (side, side), (0, 0), tuple(d['iou_bound'][i]), stride
    )
    long_side, *numbers = d['draws'][i]
    full = pair_crops.resized_size(tf.constant([height, width]), long_side)
    # Drawn x before y; -1 fills the recorded row up.
    corners = np.reshape(numbers[: 2 * ((len(numbers)) // 2)], (-1, 2))
    corners = tf.constant(corners[(corners >= 0).all(1), ::-1])
    second, number = pair_crops.second_corner(corners[0], corners[1:], pair)
    boxes = pair_crops.overlap_boxes(corners[0], second, full, pair)
    boxes = tf.gather(boxes, [0, 2, 1, 3], axis=1)
    used = 3 + 2 * min(int(number) + 1, len(corners) - 1)
    ours = np.concatenate([corners[0], second, *boxes, [used]])
    yield str(i), ours, d['out'][i], *common.EXACT


def _patch_heads(tensors: transformers.Tensors):
  """Projection and classifier of a state dict: modules and parameters."""
  modules = {
    'project': extra_heads.PatchProjection(len(tensors['project.2.weight'])),
    'classifier': extra_heads.PatchClasses(len(tensors['classifier.weight'])),
  }
  x = jnp.zeros((1, 1, 1, tensors['classifier.weight'].shape[1]))
  switches = dict(use_running_average=True, deterministic=True)
  shapes = jax.eval_shape(
    lambda key: {
      name: module.init(key, x, **switches)['params']
      for name, module in modules.items()
    },
    jax.random.key(0),
  )
  params = state_dict.load(tensors, types.Variables(shapes, {}))[0].params

  def apply(name, params, x):
    return modules[name].apply({'params': params[name]}, x, **switches)

  return apply, params


def patch_contrast(path: pathlib.Path) -> Iterator[common.Difference]:
  """Consecutive steps from recorded features: losses, counts, gradients."""
  arrays = common.load(path)
  head, params = _patch_heads(transformers.prefixed(arrays, 'sd:'))
  config = ml_collections.ConfigDict(
    dict(
      threshold=float(arrays['conf_threshold']),
      temperature=float(arrays['temperature']),
    )
  )
  weight = float(arrays['weight_unsup'])

  @jax.jit
  def step(params, features, d, bank):
    def loss(params, features):
      pooled = [pipa_patches.pool(x) for x in features]
      cells = tuple(
        pipa_patches.make_cells(
          head('project', params, x), head('classifier', params, x)
        )
        for x in pooled
      )
      contrast, after = pipa_patches.contrast_crops(
        config,
        cells,
        d['boxes'][..., jnp.array([0, 2, 1, 3])] // 8,
        d['flip'],
        bank,
        d['index'],
      )
      return weight * contrast.loss.sum(), (contrast, after)

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, features)

  bank = patch_bank.empty_bank(
    steps=int(arrays['bank_steps']),
    size=arrays['t0.index'].size,
    channels=len(arrays['sd:project.2.weight']),
  )
  for number in range(sum(name.endswith('.feat1') for name in arrays)):
    name = f't{number}'
    d = transformers.prefixed(arrays, f'{name}.')
    given = {key: d[key] for key in ('boxes', 'flip', 'index')}
    (loss, (contrast, bank)), (grads, dfeatures) = step(
      params, (d['feat1'], d['feat2']), given, bank
    )
    counts = [
      *contrast.active,
      contrast.overlap,
      bank.filled.sum() * bank.label.shape[1],
    ]
    yield f'{name}.n_pos', np.array(counts), d['n_pos'], *common.EXACT
    ours = {
      'loss': loss,
      'loss1': contrast.loss[0],
      'loss2': contrast.loss[1],
      'dfeat1': dfeatures[0],
      'dfeat2': dfeatures[1],
    }
    ours |= {
      f'd{key}': x
      for key, x in state_dict.export(types.Variables(grads, {})).items()
    }
    for key in set(ours) & set(d):
      yield f'{name}.{key}', ours[key], d[key], *common.tolerance()


CHECKS = {
  'pipa/patch_contrast_*.npz': patch_contrast,
  'pipa/pair_crop*.npz': pair_crop,
  'pipa/contrast_core*.npz': contrast_core,
  'pipa/hard_easy_counts*.npz': hard_easy_counts,
  'pipa/pixel_contrast*.npz': pixel_contrast,
}
