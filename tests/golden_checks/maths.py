"""Losses, augmentation and pseudo-labels against golden files.

Every check yields (name, ours, golden, atol, rtol). Cases, sizes and values are
read from the file. The precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax.augment import classmix as classmix_lib
from uda_jax.augment import dacs_jitter
from uda_jax.augment import filters
from uda_jax.augment import hsv as hsv_lib
from uda_jax.evaluate import metrics
from uda_jax.losses import segmentation
from uda_jax.ops import resize

# Compiled once a shape: operation by operation, the cases would take minutes.
_ce_gradient = jax.jit(jax.value_and_grad(segmentation.resized_cross_entropy))
_valid_ce_gradient = jax.jit(
  jax.value_and_grad(
    functools.partial(segmentation.cross_entropy, average='valid')
  )
)
_draw_classes = jax.jit(
  classmix_lib.draw_classes, static_argnames='num_classes'
)
_class_mask = jax.jit(classmix_lib.class_mask)
_color_jitter = jax.jit(dacs_jitter.color_jitter)
_gaussian_blur = jax.jit(dacs_jitter.gaussian_blur)


def resizes(path: pathlib.Path) -> Iterator[common.Difference]:
  """Bilinear by size and by factor, aligned corners, nearest."""
  d = common.load(path)
  x = jnp.asarray(d['x'])
  size = lambda name: d[name].shape[1:3]
  for name, ours in {
    'up_size': resize.bilinear(x, size('up_size')),
    'down_size': resize.bilinear(x, size('down_size')),
    'up2_factor': resize.bilinear_by_factor(x, 2.0),
    'half_factor': resize.bilinear_by_factor(x, 0.5),
    'ac_true': resize.bilinear(x, size('ac_true'), align_corners=True),
  }.items():
    yield name, ours, d[name], *common.tolerance()
  ours = resize.nearest(jnp.asarray(d['label']), d['nearest'].shape[1:])
  yield 'nearest', ours, d['nearest'], *common.EXACT


def ce_loss(path: pathlib.Path) -> Iterator[common.Difference]:
  """DAFormer's cross-entropy, its gradient and its accuracy."""
  for case, d in common.cases(common.load(path), '.', 'logits'):
    label = jnp.asarray(d['label'])
    loss, gradient = _ce_gradient(d['logits'], label, weight=d.get('weight'))
    yield f'{case}.loss', loss, d['loss'], *common.tolerance(d['loss'])
    yield (
      f'{case}.dlogits',
      gradient,
      d['dlogits'],
      *common.tolerance(d['dlogits']),
    )
    prediction = jnp.argmax(
      resize.bilinear(jnp.asarray(d['logits']), label.shape[1:]), -1
    )
    matrix = np.asarray(
      metrics.confusion_matrix(
        label, prediction, num_classes=d['logits'].shape[-1]
      )
    )
    hit = 100 * np.trace(matrix) / label.size
    yield f'{case}.acc', hit, d['acc'].reshape(()), 0.0, 1e-6


def classmix(path: pathlib.Path) -> Iterator[common.Difference]:
  """The number of classes drawn, the mask of recorded ones, the mixtures."""
  for case, d in common.cases(common.load(path), '.', 'mask'):
    label = jnp.asarray(d['label'])
    known = [*d['unique_batch'][d['unique_batch'] != labels.IGNORE_LABEL], 0]
    num_classes = int(max(known)) + 1
    drawn = np.asarray(
      _draw_classes(jax.random.key(0), label, num_classes=num_classes)
    )
    yield (
      f'{case}.k',
      drawn.sum(-1),
      np.full(len(label), d['choice'].shape[1]),
      *common.EXACT,
    )
    chosen = np.zeros(drawn.shape, bool)
    for row, ids in zip(chosen, d['unique_batch'][d['choice']]):
      row[np.where(ids == labels.IGNORE_LABEL, num_classes, ids)] = True
    mask = _class_mask(label, chosen)
    yield f'{case}.mask', mask, d['mask'].astype(bool), *common.EXACT
    for name, source, target in (
      ('img', d['img_s'], d['img_t']),
      ('label', d['label'], d['pseudo_label']),
      ('weight', np.ones_like(d['pseudo_weight']), d['pseudo_weight']),
    ):
      yield (
        f'{case}.mixed_{name}',
        classmix_lib.mix(mask, source, target),
        d[f'mixed_{name}'],
        *common.EXACT,
      )


def color_jitter(path: pathlib.Path) -> Iterator[common.Difference]:
  """RGB to HSV and back, and jitter with recorded factors and order."""
  d = common.load(path)
  # The reference computed in float32; hues next to 0 and a full turn are one.
  atol = 3e-4
  hsv = hsv_lib.rgb_to_hsv(jnp.asarray(d['hsv.rgb']))
  turns = np.round((np.asarray(hsv) - d['hsv.hsv'])[..., :1] / hsv_lib.TURN)
  turns = np.pad(turns, [(0, 0), (0, 0), (0, 2)]) * hsv_lib.TURN
  yield 'hsv.hsv', np.asarray(hsv) - turns, d['hsv.hsv'], 1e-5, 1e-4
  yield 'hsv.back', hsv_lib.hsv_to_rgb(hsv), d['hsv.back'], 1e-5, 1e-4
  for case, draw in common.cases(d, '.', 'factors'):
    factors = jnp.asarray(draw['factors'])[:, None]
    image = (draw['x'] * d['std'] + d['mean']) / 255
    jittered = _color_jitter(
      image[None],
      dacs_jitter.ColorJitter(*factors, jnp.asarray(draw['order'])[None]),
    )[0]
    yield (
      f'{case}.y',
      (jittered * 255 - d['mean']) / d['std'],
      draw['y'],
      atol,
      1e-4,
    )


def gaussian_blur(path: pathlib.Path) -> Iterator[common.Difference]:
  """Kernel sizes, a kernel, and blurs with recorded sigmas."""
  d = common.load(path)
  for case, draw in common.cases(d, '.', 'sigma'):
    blurred = _gaussian_blur(draw['x'][None], draw['sigma'][None])[0]
    yield f'{case}.y', blurred, draw['y'], *common.tolerance()
  yield (
    'ksize.k',
    [dacs_jitter.blur_size(n) for n in d['ksize.len']],
    d['ksize.k'],
    *common.EXACT,
  )
  for name in d:
    if name.startswith('kernel1d_'):
      _, size, sigma = name.split('_')
      ours = filters.gaussian_kernel(float(sigma), size=int(size))
      yield name, ours, d[name], *common.tolerance()


def augment_gates(path: pathlib.Path) -> Iterator[common.Difference]:
  """Checks the uniform draws that switch jitter and blur on."""
  # Python's draws: in float32, one next to its limit would be on it.
  d = dict(np.load(path))
  yield (
    'jitter',
    dacs_jitter.jitter_is_on(d['u']),
    d['jitter_applied'],
    *common.EXACT,
  )
  yield 'blur', dacs_jitter.blur_is_on(d['u']), d['blur_applied'], *common.EXACT


def pseudo_label(path: pathlib.Path) -> Iterator[common.Difference]:
  """Labels and weights, with rows without trust or a mask."""
  for case, d in common.cases(common.load(path), '.', 'logits'):
    label, confidence = pseudo_labels.from_logits(jnp.asarray(d['logits']))
    threshold = float(d['threshold'])
    # The released code compares in float32.
    confidence = confidence.astype(jnp.float32)
    weight = pseudo_labels.quality_weight(confidence, threshold=threshold)
    valid_mask = np.ones(label.shape, bool)
    if 'valid' in d:
      valid_mask = d['valid'] > 0
    elif 'ignore_top' in d:
      margins = int(d['ignore_top']), int(d['ignore_bottom']), 0, 0
      valid_mask = common.inside_margins(label.shape[1:], margins)
    yield f'{case}.label', label, d['label'], *common.EXACT
    if 'n_confident' in d:
      yield (
        f'{case}.n_confident',
        jnp.sum(confidence >= threshold),
        d['n_confident'],
        *common.EXACT,
      )
    yield (
      f'{case}.weight',
      pseudo_labels.mask_weight(weight, valid_mask),
      d['weight'],
      *common.tolerance(),
    )


def pixmatch_losses(path: pathlib.Path) -> Iterator[common.Difference]:
  """Cross-entropy over valid pixels.

  Where there is none, the reference is NaN or 0 and ours is 0.
  """
  for case, d in common.cases(common.load(path), '_', 'logits_main'):
    ce = {
      (head, y): _valid_ce_gradient(
        d[f'logits_{head}'], common.to_255(d[f'y_{y}'])
      )
      for head, y in (('main', 'main'), ('aux', 'main'), ('aux', 'aux'))
    }
    (main, main_gradient), (aux, aux_gradient) = (
      ce['main', 'main'],
      ce['aux', 'aux'],
    )
    ours = {
      'ce_main': main,
      'source_total': main + 0.1 * ce['aux', 'main'][0],
      'pert_total': 0.1 * main + 0.01 * aux,
      'pert_grad_main': 0.1 * main_gradient,
      'pert_grad_aux': 0.01 * aux_gradient,
    }
    for name, value in ours.items():
      if not np.isnan(d[name]).any():
        yield f'{case}_{name}', value, d[name], *common.tolerance(d[name])
    for (head, y), (loss, gradient) in ce.items():
      if (d[f'y_{y}'] == -1).all():
        yield f'{case}_{head}_of_none', loss, 0.0, *common.EXACT
        zero = np.zeros_like(gradient)
        yield f'{case}_{head}_of_none_grad', gradient, zero, *common.EXACT


def pixmatch_pseudo_label(path: pathlib.Path) -> Iterator[common.Difference]:
  """Labels of both heads at each recorded threshold."""
  # In float32, as the released code compares with the threshold.
  d = dict(np.load(path))
  for prefix, _ in common.cases(d, '_', 'label_main'):
    ours = pseudo_labels.from_two_heads(
      jnp.asarray(d['logits_main']),
      jnp.asarray(d['logits_aux']),
      threshold=float(prefix.removeprefix('T')),
    )
    for head, label in zip(('main', 'aux'), ours):
      name = f'{prefix}_label_{head}'
      yield name, common.from_255(label), d[name], *common.EXACT


CHECKS = {
  'daformer_hrda/resize*.npz': resizes,
  'daformer_hrda/ce_loss*.npz': ce_loss,
  'daformer_hrda/classmix*.npz': classmix,
  'daformer_hrda/color_jitter*.npz': color_jitter,
  'daformer_hrda/gaussian_blur*.npz': gaussian_blur,
  'daformer_hrda/augment_gates*.npz': augment_gates,
  'daformer_hrda/pseudo_label*.npz': pseudo_label,
  'pixmatch/losses*.npz': pixmatch_losses,
  'pixmatch/pseudo_label*.npz': pixmatch_pseudo_label,
}
