"""CLUDA: its contrast, and the terms of its step from recorded maps.

Every check yields (name, ours, golden, atol, rtol). Cases, sizes and values are
read from the files. The precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.golden_checks import common
from uda_jax import labels
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import cluda as cluda_configs
from uda_jax.configs.blocks import common as common_configs
from uda_jax.losses import resolution_contrast as contrast_lib
from uda_jax.methods import cluda
from uda_jax.methods import self_training
from uda_jax.ops import boxes
from uda_jax.ops import vectors
from uda_jax.train import gradient as gradient_lib
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import teacher as teacher_lib


def _tolerance(golden: np.ndarray) -> tuple[float, float]:
  """The common rule; what is rounding of 0 in the reference is 0 here."""
  atol, rtol = common.tolerance(golden)
  return max(atol, 1e-12), rtol


def _cases(arrays) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
  """Yields (start of the names, arrays) of each case, or of the whole file."""
  if 'thing_classes' in arrays:
    yield '', arrays
  for prefix, given in common.cases(arrays, '_', 'thing_classes'):
    yield prefix + '_', given


def _confidence(given) -> jax.Array | None:
  return given['pseudo_weight'] if given['has_pseudo_weight'] else None


def contrast(path: pathlib.Path) -> Iterator[common.Difference]:
  """Log-probabilities of pairs, and which pairs are positives."""
  d = common.load(path)
  label = jnp.asarray(d['label'])
  anchor = jnp.asarray(d['anchor'])
  pixels = contrast_lib.Pixels(
    anchor,
    label,
    jnp.arange(label.size),
    jnp.ones(label.shape, bool),
    jnp.ones(label.shape),
  )
  positive = contrast_lib.positives(pixels, pixels)
  positive = positive * d.get('extra_mask', 1)
  lp = contrast_lib.log_probability(
    anchor,
    jnp.asarray(d.get('contrast', anchor)),
    contrast_lib.negatives(pixels, pixels),
  )
  weight = d.get('sim_weight', 1)
  if 'contrast' in d and 'sim_weight' in d:
    weight = 1 - weight
  golden = d['out_masked_log_prob']
  yield ('masked_log_prob', lp * weight * positive, golden, *_tolerance(golden))
  yield 'pos_mask', positive, d['out_pos_mask'], *common.EXACT


@functools.partial(jax.jit, static_argnames='order')
@jax.value_and_grad
def _multi_resolution(inputs, label, hr_label, confidence, *, order):
  """The loss; outside the crop, and on class 0, hr_label is 0."""
  return contrast_lib.multi_resolution_contrast(
    inputs['feat_lr'],
    inputs['feat_hr'],
    label,
    hr_label != 0,
    inputs['feat_weight'][..., 0],
    confidence=confidence,
    order=order,
  )


def _pixels(feature, label, order) -> contrast_lib.Pixels:
  """Pixels of unit vectors in the order of the released code or in ours."""
  if order == 'released':
    feature = jnp.moveaxis(feature, 0, 2)
  feature = vectors.unit_vectors(feature.reshape(-1, feature.shape[-1]))
  return contrast_lib.Pixels(
    feature,
    label.ravel(),
    jnp.arange(label.size),
    jnp.ones(label.size, bool),
    jnp.ones(label.size),
  )


@functools.partial(jax.jit, static_argnames=('things', 'order'))
@jax.value_and_grad
def _free_detail_labels(inputs, label, hr_label, confidence, *, things, order):
  """The loss where the crop has labels of its own, from the library's parts.

  No run has such labels, so the library's loss does not take them: it would
  need the released code's rule that a thing and a non-thing are no positives.
  """
  inside = hr_label != 0
  detail_label = jnp.where(inside, hr_label, label)
  thing = jnp.isin(label.ravel(), jnp.array(things))
  coarse = _pixels(inputs['feat_lr'], label, order)
  terms = []
  for feature, own in (('feat_lr', label), ('feat_hr', detail_label)):
    columns = _pixels(inputs[feature], own, order)
    positive = contrast_lib.positives(columns, columns)
    positive &= thing[:, None] == thing
    lp = contrast_lib.log_probability(
      coarse.feature, columns.feature, contrast_lib.negatives(columns, columns)
    )
    terms.append((positive, jnp.where(positive, lp, 0)))
  (positive, coarse_lp), (_, detail_lp) = terms
  weight = inputs['feat_weight'].ravel()
  weight = jnp.where(inside.ravel(), weight, 0)[:, None] * weight
  p = 1.0 if confidence is None else confidence.ravel()
  pair = weight * coarse_lp + (1 - weight) * detail_lp
  rows = (pair * p).sum(-1) * p / jnp.maximum(positive.sum(-1), 1)
  return -0.5 * rows.mean()


def multi_resolution(path: pathlib.Path) -> Iterator[common.Difference]:
  """The loss of two resolutions and its gradients, in both pixel orders."""
  names = ('feat_lr', 'feat_hr', 'feat_weight')
  for case, d in _cases(common.load(path)):
    loss = _multi_resolution
    if np.any((d['hr_label'] != 0) & (d['hr_label'] != d['label'])):
      things = tuple(map(int, d['thing_classes']))
      loss = functools.partial(_free_detail_labels, things=things)
    for order in contrast_lib.ORDERS:
      value, grads = loss(
        {k: d[k] for k in names},
        d['label'],
        d['hr_label'],
        _confidence(d),
        order=order,
      )
      golden = d[f'{order}_loss']
      yield f'{case}{order}_loss', value, golden, *_tolerance(golden)
      for name, ours in grads.items():
        golden = d[f'{order}_grad_{name}']
        yield f'{case}{order}_grad_{name}', ours, golden, *_tolerance(golden)


@functools.partial(jax.jit, static_argnames='order')
def _single_resolution(feature, label, confidence, scale, *, order):
  return jax.value_and_grad(
    lambda x: (
      scale
      * contrast_lib.single_resolution_contrast(
        x, label, confidence=confidence, order=order
      )
    )
  )(feature)


def single_resolution(path: pathlib.Path) -> Iterator[common.Difference]:
  """The loss of one resolution and its gradient, in both pixel orders.

  Its two temperatures are no more than a factor.
  """
  for case, d in _cases(common.load(path)):
    for order in contrast_lib.ORDERS:
      value, grad = _single_resolution(
        d['feat'],
        d['label'],
        _confidence(d),
        d['temperature'] / d['base_temperature'],
        order=order,
      )
      for name, ours in (('loss', value), ('grad_feat', grad)):
        golden = d[f'{order}_{name}']
        yield f'{case}{order}_{name}', ours, golden, *_tolerance(golden)


def _config(d, order: str):
  """The released choices in this pixel order, without the base's distance."""
  config = cluda_configs.released(common_configs.self_training(threshold=0.5))
  config.cluda_contrast.update(
    grid=tuple(map(int, d['grid'])), pixel_order=order, entropy_start=1
  )
  return config


MAPS = ('feat_lr', 'hr_crop_feat', 'feat_weight')


def _maps(d, learned) -> dict[str, jax.Array]:
  """The maps of a pass as the network returns them."""
  size = d['feat_lr'].shape[1:3]
  stride = int(d['image_size'][0]) // size[0]
  return {
    'fused_lr': learned['feat_lr'],
    'crop_mask': jnp.asarray(d['crop_mask']),
    'fused_hr': boxes.paste(
      learned['hr_crop_feat'], jnp.asarray(d['boxes']) // stride, size
    ),
    'feature_weight': learned['feat_weight'],
  }


def _network(d) -> types.Network:
  """Shows recorded maps, its parameters, of the source, and zeros of others.

  Teachers ask for no detail, mixed images for the crops of highest entropy.
  """
  known = d['label'][d['label'] != labels.IGNORE_LABEL]

  def forward(
    params, stats, image, *, key=None, use_running_average=False, detail=None
  ):
    del key, use_running_average
    logits = jnp.zeros((*image.shape[:3], int(known.max(initial=0)) + 1))
    if detail is None:
      return types.Outputs(logits), stats
    blind = isinstance(detail, str)
    learned = jax.tree.map(jnp.zeros_like, params) if blind else params
    return types.Outputs(logits, maps=_maps(d, learned)), stats

  return types.Network(
    lambda key, size: None, forward, lambda x: x, lambda x: x
  )


def step_gradient(config, d, learned):
  """One whole step on the source: the contrast and the step's gradient.

  The network's logits are constant and so is what it says of mixed images:
  the source's contrast is all that has a gradient.
  """
  operators = self_training.Operators(
    choose_classes=lambda key, label: jnp.zeros(label.shape, bool),
    augment=lambda key, pixels: pixels,
    detail=lambda key, size, name, phase: jnp.asarray(d['boxes']),
  )
  network = _network(d)
  recipe = recipe_lib.Recipe(
    self_training.make(
      config,
      cluda.with_entropy(config.cluda_contrast, operators),
      cluda.with_contrast(config.cluda_contrast, self_training.segment),
    ),
    network,
    optax.identity(),
    lambda state: 0.0,
    teacher_lib.Rule(0.9, ramp=False),
  )
  label = jnp.asarray(d['label'])
  image = jnp.zeros((*label.shape, 3))
  group = jax.tree.map(
    lambda x: x[None],
    types.Batch(
      types.Source(image, label),
      types.Target(image, jnp.ones(label.shape, bool)),
    ),
  )
  state = state_lib.init_state(
    recipe, types.Variables(learned, {}), jax.random.key(0), group, num_steps=1
  )
  gradient = gradient_lib.make_gradient(
    recipe, parallel.make_mesh(1), 1, phase=1
  )
  grads, losses = gradient(learned, state, group, None)
  return losses.terms['source_contrast'].value, grads


def term_gradient(config, d, learned):
  """The contrast of the mixed pass alone: its weights are beyond a teacher."""
  data = self_training.Labeled(
    (), jnp.asarray(d['label']), jnp.asarray(d['pseudo_weight'])
  )
  loss = lambda learned: cluda.contrast(
    config.cluda_contrast, types.Outputs((), maps=_maps(d, learned)), data
  )
  return jax.value_and_grad(loss)(learned)


def step(path: pathlib.Path) -> Iterator[common.Difference]:
  """From maps, boxes and labels to the loss and its gradients."""
  d = common.load(path)
  learned = {name: jnp.asarray(d[name]) for name in MAPS}
  data = self_training.Labeled(
    (), jnp.asarray(d['label']), d.get('pseudo_weight')
  )
  config = _config(d, contrast_lib.ORDERS[0])
  grid = cluda.to_grid(config.cluda_contrast, _maps(d, learned), data)
  picked = cluda.to_grid(
    config.cluda_contrast,
    _maps(d, learned),
    data._replace(label=jnp.ones_like(data.label)),
  )
  ours = {
    'feat_lr': grid.feature,
    'feat_hr': grid.detail.feature,
    'feat_weight': grid.detail.weight[..., None],
    'label': grid.label,
    'crop_mask': picked.detail.inside,
    'hr_label': jnp.where(grid.detail.inside, grid.label, 0),
  }
  if data.weight is not None:
    ours['pseudo_weight'] = grid.confidence
  for name, value in ours.items():
    golden = d[f'grid_{name}']
    limits = _tolerance(golden) if golden.dtype.kind == 'f' else common.EXACT
    yield f'grid_{name}', value, golden, *limits
  run = step_gradient if data.weight is None else term_gradient
  for order in contrast_lib.ORDERS:
    value, grads = jax.jit(functools.partial(run, _config(d, order), d))(
      learned
    )
    golden = d[f'{order}_loss']
    yield f'{order}_loss', value, golden, *_tolerance(golden)
    for name, gradient in grads.items():
      golden = d[f'{order}_grad_{name}']
      yield f'{order}_grad_{name}', gradient, golden, *_tolerance(golden)


CHECKS = {
  'cluda/contrast_*.npz': contrast,
  'cluda/mrcl_*.npz': multi_resolution,
  'cluda/step_*.npz': step,
  'cluda/cl_single_resolution*.npz': single_resolution,
}
