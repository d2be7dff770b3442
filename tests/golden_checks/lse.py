"""LSE's entropy, ranking, scale-invariant examples, losses and schedules.

Every check yields (name, ours, golden, atol, rtol). Cases, sizes and values are
read from the file; the tolerances are those of the README.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import configs
from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax.augment import scale_invariant as scale_invariant_lib
from uda_jax.data import patches
from uda_jax.losses import segmentation
from uda_jax.models import preprocessing
from uda_jax.train import round_ranking
from uda_jax.train import schedules

MAPS = (2e-6, 0.0)
# SYNTHIA lacks terrain, truck and train.
SKIPPED = {
  'gta5': (),
  'synthia': tuple(sorted(set(labels.SUBSET_19) - set(labels.SUBSET_16))),
}
DIVISOR = 19


@jax.jit
def _entropies(prob):
  """Entropy, predicted class, and entropy stretched by class."""
  value = pseudo_labels.entropy(prob)
  label = jnp.argmax(prob, -1)
  return (
    value,
    label,
    pseudo_labels.stretch_by_class(value, label, num_classes=prob.shape[-1]),
  )


def entropy(path: pathlib.Path) -> Iterator[common.Difference]:
  """Entropy maps; in float64 those of the same probabilities, widened."""
  suffix = '64' if jax.config.jax_enable_x64 else ''
  for case, d in common.cases(common.load(path), '_', 'probs'):
    value, label, stretched = _entropies(d['probs'])
    yield f'{case}_entropy', value, d[f'entropy{suffix}'], *MAPS
    yield (
      f'{case}_entropy_norm',
      stretched,
      d[f'entropy_norm{suffix}'],
      MAPS[0] if suffix else MAPS[0] / _least_range(value, label),
      0.0,
    )


def _least_range(value, label) -> float:
  """The least range of a class, at most 1: stretching magnifies rounding."""
  classes = [
    np.asarray(value)[np.asarray(label) == c] for c in np.unique(label)
  ]
  return min([1.0, *(float(np.ptp(x)) for x in classes if np.ptp(x))])


@jax.jit
def _measure(logits):
  """Confidence and stretched entropy by class, as a round measures them."""
  return pseudo_labels.class_statistics(jax.nn.softmax(logits))


def rank(path: pathlib.Path) -> Iterator[common.Difference]:
  """Confidence by image and class, lists, chosen images, limits."""
  d = common.load(path)
  names = d['names'].tolist()
  confidence, spread = (np.asarray(x) for x in _measure(d['logits']))
  yield 'conf', confidence, d['conf'], *MAPS
  # Lists are made of the recorded float32, whose ties decide.
  recorded = np.load(path)['conf']
  lists = [round_ranking.order(column, names) for column in recorded.T]
  table = np.full(d['order'].shape, -1)
  for row, ranked in zip(table, lists):
    row[: len(ranked)] = ranked
  yield 'order', table, d['order'], *common.EXACT
  yield (
    'images_with_class',
    [len(x) for x in lists],
    d['images_with_class'],
    *common.EXACT,
  )
  for i, portion in enumerate(d['p_values'].tolist()):
    chosen = round_ranking.choose(
      recorded,
      spread,
      names,
      np.ones(recorded.shape[1]),
      portion=portion,
      divisor=DIVISOR,
      skip_classes=SKIPPED[str(d['source'])],
    )
    for name, ours in {
      'num_select': chosen.counts,
      'threshold_image': chosen.limit_images,
      'selected': np.array(chosen.images, int),
    }.items():
      yield f'p{i}_{name}', ours, d[f'p{i}_{name}'], *common.EXACT
    golden = d[f'p{i}_thresholds']
    yield (
      f'p{i}_thresholds',
      chosen.limits,
      np.where(np.isnan(golden), np.inf, golden),
      *MAPS,
    )


@functools.partial(jax.jit, static_argnames='window')
def _patch(image, prob, keep, start, *, window):
  """The enlarged image, mask and label of one window."""
  zoom = functools.partial(scale_invariant_lib.zoom, start=start, window=window)
  return (
    zoom(image),
    zoom(keep[..., None].astype(image.dtype))[..., 0],
    scale_invariant_lib.zoom_label(prob, keep, start, window=window),
  )


def scale_invariant(path: pathlib.Path) -> Iterator[common.Difference]:
  """Trusted pixels and labels of whole images; enlarged windows."""
  d = common.load(path)
  prob = jax.nn.softmax(d['logits'])
  _, label, stretched = _entropies(prob)
  keep = pseudo_labels.below_class_limits(
    stretched, label, jnp.asarray(d['thresholds'])
  )
  yield 'full_keep', keep.astype(np.int32), d['full_keep'], *common.EXACT
  full = np.where(keep, label, labels.IGNORE_LABEL)
  yield 'full_label', full, d['full_label'], *common.EXACT
  window = tuple(map(int, d['patch_size']))
  images = jnp.asarray(d['images'], float) / 255
  count = int(d['num_patches'])
  for i, j in enumerate(d['image_index']):
    image, mask, label = _patch(
      images[j], prob[j], keep[j], d['boxes_yx'][i], window=window
    )
    yield f'patch_image[{i}]', image, d['patch_image'][i], *MAPS
    yield f'patch_keep[{i}]', mask, d['patch_keep'][i], *MAPS
    yield f'patch_label[{i}]', label, d['patch_label'][i], *common.EXACT
    # Truncated from the recorded float32: where a value should be a whole
    # number, its rounding decides.
    pixels = scale_invariant_lib.to_pixels(
      jnp.asarray(np.load(path)['patch_image'][i])
    )
    yield f'patch_image_u8[{i}]', pixels, d['patch_image_u8'][i], *common.EXACT
    yield (
      f'file_number[{i}]',
      patches.file_number(j, i % count, count),
      d['file_number'][i],
      *common.EXACT,
    )


@functools.partial(jax.jit, static_argnames=('gamma', 'beta', 'of'))
def _target_loss(logits, label, *, gamma, beta, of):
  """Value and gradient."""

  def loss(logits):
    value = segmentation.cross_entropy(logits, label, average='valid')
    if not beta:
      return value
    return value + beta * segmentation.focal_term(
      logits, label, gamma=gamma, of=of
    )

  return jax.value_and_grad(loss)(logits)


def losses(path: pathlib.Path) -> Iterator[common.Difference]:
  """Both losses of both networks, and their gradients."""
  for case, d in common.cases(common.load(path), '_', 'use_focal'):
    beta = float(d['beta']) if d['use_focal'] else 0.0
    for network, of in (('vgg', 'pixel'), ('deeplab', 'mean')):
      for domain, weight in (('src', 0.0), ('trg', beta)):
        # Any negative label is ignored by the reference.
        label = np.where(
          d[f'{domain}_label'] < 0, labels.IGNORE_LABEL, d[f'{domain}_label']
        )
        loss, gradient = _target_loss(
          d[f'{domain}_logits'],
          label,
          gamma=float(d['gamma']),
          beta=weight,
          of=of,
        )
        # Without a valid pixel the reference has a loss of NaN.
        name = f'{network}_loss_{domain}'
        golden = 0.0 if (label == labels.IGNORE_LABEL).all() else d[name]
        yield f'{case}_{name}', loss, golden, 1e-9, 1e-5
        name = f'{network}_grad_{domain}'
        scale = float(np.abs(d[name]).max())
        # Of a confident pixel it is p - 1, which is rounded like p.
        rounding = np.finfo(gradient.dtype).eps / label.size
        atol = 1e-6 * scale + rounding
        yield f'{case}_{name}', gradient, d[name], atol, 1e-4
    valid = label != labels.IGNORE_LABEL
    ce = np.asarray(
      segmentation.pixel_cross_entropy(jnp.asarray(d['trg_logits']), label)
    )[valid]
    yield f'{case}_vgg_ce_trg', ce, d['vgg_ce_trg'], 1e-6, 1e-5


def schedule(path: pathlib.Path) -> Iterator[common.Difference]:
  """Rates of both networks, portions of the rounds, images a class."""
  d = dict(np.load(path))
  rate = schedules.staircase(
    d['vgg_iters'], base=float(d['vgg_base_lr']), every=50000, factor=0.1
  )
  yield 'vgg_lr', np.stack([rate, 2 * rate], 1), d['vgg_lr'], 0.0, 1e-5
  rate = schedules.poly(
    d['deeplab_iters'],
    base=float(d['deeplab_base_lr']),
    num_steps=int(d['deeplab_num_steps']),
    power=float(d['deeplab_power']),
  )
  yield 'deeplab_lr', np.stack([rate, 10 * rate], 1), d['deeplab_lr'], 0.0, 1e-5
  for name in (k for k in d if k.startswith('p_rounds_')):
    start = float(d[name.replace('rounds', 'start')])
    yield (
      name,
      round_ranking.portions(start, 0.05, 0.4),
      d[name],
      *common.EXACT,
    )
    # Steps of 0 never pass the maximum: the number of rounds ends them.
    endless = round_ranking.portions(start, 0.0, 1.0)
    number = name.removeprefix('p_rounds_')
    yield (
      f'max_rounds_{number}',
      len(endless),
      d[f'max_rounds_{number}'],
      *common.EXACT,
    )
  counts = [
    [round_ranking.count(n, portion, DIVISOR) for n in d['count_n'].tolist()]
    for portion in d['p_rounds_0'].tolist()
  ]
  yield 'count_select', counts, d['count_select'], *common.EXACT


def preprocess(path: pathlib.Path) -> Iterator[common.Difference]:
  """Resized pixels, network inputs and train ids of all three data sets."""
  d = dict(np.load(path))
  full = tuple(d['crop_size_wh'][::-1].tolist())
  examples = {}
  for name, raw in (('gta5', 'label'), ('synthia', 'synthia_raw_label')):
    config = configs.load(f'{name}_to_cityscapes/lse')
    config.data.update(
      source_image_size=full, target_image_size=full, flip=False
    )
    source, target = common.training_examples(
      config, 'source', d['image'], d[raw]
    )
    examples |= {name: source, 'cityscapes': target, 'generated': target}
    golden = d[f'{name}_label']
    yield f'{name}_label', source['label'][None], golden, *common.EXACT
  # Pillow's weights have 22 bits, ours are floats: a grey level at most.
  for name in ('gta5', 'cityscapes'):
    ours = examples[name]['image'][None]
    yield f'{name}_rgb', ours, d[f'{name}_rgb'], 1, 0
  yield ('mean_bgr', preprocessing.CAFFE.mean, d['mean_bgr'], 1e-5, 0.0)
  normalize = preprocessing.Preprocessing(
    tuple(d['mean_bgr'].tolist()), channel_order='bgr'
  ).normalize
  for name, example in examples.items():
    ours = normalize(example['image'])[None]
    yield f'{name}_image', ours, d[f'{name}_image'], 1 + 1e-5, 0.0


CHECKS = {
  'lse/entropy*.npz': entropy,
  'lse/rank_*.npz': rank,
  'lse/scale_examples*.npz': scale_invariant,
  'lse/losses*.npz': losses,
  'lse/schedules*.npz': schedule,
  'lse/preprocess*.npz': preprocess,
}
