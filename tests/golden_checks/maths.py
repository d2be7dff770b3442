"""Losses, augmentation, pseudo-labels, metrics, schedules against golden files.

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

from uda_jax import labels
from uda_jax import metrics
from uda_jax import pseudo_labels
from uda_jax import schedules
from uda_jax import teacher
from uda_jax.augment import color
from uda_jax.augment import mixing
from uda_jax.augment import photometric
from uda_jax.augment import resize
from uda_jax.losses import segmentation

Difference = tuple[str, np.ndarray, np.ndarray, float, float]

EXACT = (0.0, 0.0)

# Compiled once a shape: operation by operation, the cases would take minutes.
_ce_gradient = jax.jit(
    jax.value_and_grad(segmentation.resized_cross_entropy))
_valid_ce_gradient = jax.jit(jax.value_and_grad(functools.partial(
    segmentation.cross_entropy, average='valid')))
_draw_classes = jax.jit(mixing.draw_classes, static_argnames='num_classes')
_class_mask = jax.jit(mixing.class_mask)
_color_jitter = jax.jit(photometric.color_jitter)
_gaussian_blur = jax.jit(photometric.gaussian_blur)


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a file; arrays of floats come in the precision of the process."""
  arrays = dict(np.load(path))
  dtype = jnp.result_type(float)
  return {k: v.astype(dtype) if v.dtype.kind == 'f' and v.ndim else v
          for k, v in arrays.items()}


def _cases(arrays: dict[str, np.ndarray], separator: str,
           last: str) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
  """Yields the cases that have an array called `last`, by their prefix."""
  end = separator + last
  for prefix in sorted(k.removesuffix(end) for k in arrays if k.endswith(end)):
    start = prefix + separator
    yield prefix, {k.removeprefix(start): v for k, v in arrays.items()
                   if k.startswith(start)}


def _tolerance(golden: np.ndarray | float = 1.0) -> tuple[float, float]:
  """The rule of the READMEs, relative to the largest value if below 1."""
  atol = 1e-6 if jax.config.jax_enable_x64 else 1e-5
  return atol * min(1.0, float(np.max(np.abs(golden)))), 1e-4


def _from_255(label: np.ndarray) -> np.ndarray:
  """Our ignored label as PixMatch's -1."""
  return np.where(np.asarray(label) == labels.IGNORE_LABEL, -1, label)


def _to_255(label: np.ndarray) -> np.ndarray:
  return np.where(label == -1, labels.IGNORE_LABEL, label)


def resizes(path: pathlib.Path) -> Iterator[Difference]:
  """Bilinear by size and by factor, aligned corners, nearest."""
  d = _load(path)
  x = jnp.asarray(d['x'])
  size = lambda name: d[name].shape[1:3]
  for name, ours in {
      'up_size': resize.bilinear(x, size('up_size')),
      'down_size': resize.bilinear(x, size('down_size')),
      'up2_factor': resize.bilinear_by_factor(x, 2.0),
      'half_factor': resize.bilinear_by_factor(x, 0.5),
      'ac_true': resize.bilinear(x, size('ac_true'), align_corners=True),
  }.items():
    yield name, ours, d[name], *_tolerance()
  ours = resize.nearest(jnp.asarray(d['label']), d['nearest'].shape[1:])
  yield 'nearest', ours, d['nearest'], *EXACT


def ce_loss(path: pathlib.Path) -> Iterator[Difference]:
  """DAFormer's cross-entropy, its gradient and its accuracy."""
  for case, d in _cases(_load(path), '.', 'logits'):
    label = jnp.asarray(d['label'])
    loss, gradient = _ce_gradient(d['logits'], label, weight=d.get('weight'))
    yield f'{case}.loss', loss, d['loss'], *_tolerance(d['loss'])
    yield f'{case}.dlogits', gradient, d['dlogits'], *_tolerance(d['dlogits'])
    prediction = jnp.argmax(
        resize.bilinear(jnp.asarray(d['logits']), label.shape[1:]), -1)
    matrix = np.asarray(metrics.confusion_matrix(
        label, prediction, num_classes=d['logits'].shape[-1]))
    hit = 100 * np.trace(matrix) / label.size
    yield f'{case}.acc', hit, d['acc'].reshape(()), 0.0, 1e-6


def classmix(path: pathlib.Path) -> Iterator[Difference]:
  """The number of classes drawn, the mask of recorded ones, the mixtures."""
  for case, d in _cases(_load(path), '.', 'mask'):
    label = jnp.asarray(d['label'])
    known = [*d['unique_batch'][d['unique_batch'] != labels.IGNORE_LABEL], 0]
    num_classes = int(max(known)) + 1
    drawn = np.asarray(_draw_classes(jax.random.key(0), label,
                                     num_classes=num_classes))
    yield (f'{case}.k', drawn.sum(-1),
           np.full(len(label), d['choice'].shape[1]), *EXACT)
    chosen = np.zeros(drawn.shape, bool)
    for row, ids in zip(chosen, d['unique_batch'][d['choice']]):
      row[np.where(ids == labels.IGNORE_LABEL, num_classes, ids)] = True
    mask = _class_mask(label, chosen)
    yield f'{case}.mask', mask, d['mask'].astype(bool), *EXACT
    for name, source, target in (
        ('img', d['img_s'], d['img_t']),
        ('label', d['label'], d['pseudo_label']),
        ('weight', np.ones_like(d['pseudo_weight']), d['pseudo_weight'])):
      yield (f'{case}.mixed_{name}', mixing.mix(mask, source, target),
             d[f'mixed_{name}'], *EXACT)


def color_jitter(path: pathlib.Path) -> Iterator[Difference]:
  """RGB to HSV and back, and jitter with recorded factors and order."""
  d = _load(path)
  # The reference computed in float32; hues next to 0 and a full turn are one.
  atol = 3e-4
  hsv = color.rgb_to_hsv(jnp.asarray(d['hsv.rgb']))
  turns = np.round((np.asarray(hsv) - d['hsv.hsv'])[..., :1] / color.TURN)
  turns = np.pad(turns, [(0, 0), (0, 0), (0, 2)]) * color.TURN
  yield 'hsv.hsv', np.asarray(hsv) - turns, d['hsv.hsv'], 1e-5, 1e-4
  yield 'hsv.back', color.hsv_to_rgb(hsv), d['hsv.back'], 1e-5, 1e-4
  for case, draw in _cases(d, '.', 'factors'):
    factors = jnp.asarray(draw['factors'])[:, None]
    image = (draw['x'] * d['std'] + d['mean']) / 255
    jittered = _color_jitter(
        image[None],
        photometric.ColorJitter(*factors, jnp.asarray(draw['order'])[None]))[0]
    yield (f'{case}.y', (jittered * 255 - d['mean']) / d['std'], draw['y'],
           atol, 1e-4)


def gaussian_blur(path: pathlib.Path) -> Iterator[Difference]:
  """Kernel sizes, a kernel, and blurs with recorded sigmas."""
  d = _load(path)
  for case, draw in _cases(d, '.', 'sigma'):
    blurred = _gaussian_blur(draw['x'][None], draw['sigma'][None])[0]
    yield f'{case}.y', blurred, draw['y'], *_tolerance()
  yield ('ksize.k', [photometric.blur_size(n) for n in d['ksize.len']],
         d['ksize.k'], *EXACT)
  for name in d:
    if name.startswith('kernel1d_'):
      _, size, sigma = name.split('_')
      ours = photometric.gaussian_kernel(float(sigma), size=int(size))
      yield name, ours, d[name], *_tolerance()


def augment_gates(path: pathlib.Path) -> Iterator[Difference]:
  """Which uniform draws switch jitter and blur on."""
  d = _load(path)
  yield ('jitter', photometric.jitter_is_on(d['u']), d['jitter_applied'],
         *EXACT)
  yield 'blur', photometric.blur_is_on(d['u']), d['blur_applied'], *EXACT


def pseudo_label(path: pathlib.Path) -> Iterator[Difference]:
  """Labels and weights, with rows without trust or a mask."""
  for case, d in _cases(_load(path), '.', 'logits'):
    label, confidence = pseudo_labels.from_logits(jnp.asarray(d['logits']))
    threshold = float(d['threshold'])
    weight = pseudo_labels.quality_weight(confidence, threshold=threshold)
    trusted = np.ones(label.shape, bool)
    if 'valid' in d:
      trusted = d['valid'] > 0
    elif 'ignore_top' in d:
      trusted = pseudo_labels.inside_margins(
          label.shape[1:], top=int(d['ignore_top']),
          bottom=int(d['ignore_bottom']))
    yield f'{case}.label', label, d['label'], *EXACT
    if 'n_confident' in d:
      yield (f'{case}.n_confident', jnp.sum(confidence >= threshold),
             d['n_confident'], *EXACT)
    yield (f'{case}.weight', pseudo_labels.mask_untrusted(weight, trusted),
           d['weight'], *_tolerance())


def daformer_schedule(path: pathlib.Path) -> Iterator[Difference]:
  """Poly decay times warm-up; decay of the teacher and its first updates."""
  d = _load(path)
  for name in (k.removeprefix('iter_') for k in d if k.startswith('iter_')):
    # 'lr_40k': 40000 iterations; bases and warm-up as the README says.
    steps = jnp.asarray(d[f'iter_{name}'])
    warmup = schedules.linear_warmup(steps, num_steps=1500, ratio=1e-6)
    for column, base in enumerate((6e-5, 6e-4)):
      rate = warmup * schedules.poly(
          steps, base=base, power=1.0,
          num_steps=1000 * int(name.removesuffix('k')))
      yield f'lr_{name}[{column}]', rate, d[f'lr_{name}'][:, column], 0., 1e-5
  yield ('ema_alpha', teacher.ema_decay(d['ema_iter'], maximum=0.999),
         d['ema_alpha'], *_tolerance())
  params = jnp.asarray(d['ema_student'][0])
  for t, student in enumerate(d['ema_student']):
    params = teacher.update(params, jnp.asarray(student),
                            teacher.ema_decay(t, maximum=0.999))
    yield f'ema_teacher[{t}]', params, d['ema_teacher'][t], *_tolerance()


def metric(path: pathlib.Path) -> Iterator[Difference]:
  """Accuracies and IoU from labels and predictions."""
  for case, d in _cases(dict(np.load(path)), '.', 'gt'):
    matrix = metrics.confusion_matrix(jnp.asarray(d['gt']),
                                      jnp.asarray(d['pred']),
                                      num_classes=int(d['num_classes']))
    for name, ours in {
        'aacc': metrics.pixel_accuracy(matrix), 'iou': metrics.iou(matrix),
        'acc': metrics.accuracy(matrix),
        'miou_percent': np.round(100 * metrics.mean_iou(matrix), 2)}.items():
      yield f'{case}.{name}', ours, d[name], 1e-9, 0.0


def pixmatch_losses(path: pathlib.Path) -> Iterator[Difference]:
  """Cross-entropy over valid pixels; where there is none we give 0."""
  for case, d in _cases(_load(path), '_', 'logits_main'):
    ce = {(head, y): _valid_ce_gradient(d[f'logits_{head}'],
                                        _to_255(d[f'y_{y}']))
          for head, y in (('main', 'main'), ('aux', 'main'), ('aux', 'aux'))}
    (main, main_gradient), (aux, aux_gradient) = (
        ce['main', 'main'], ce['aux', 'aux'])
    ours = {
        'ce_main': main,
        'source_total': main + 0.1 * ce['aux', 'main'][0],
        'pert_total': 0.1 * main + 0.01 * aux,
        'pert_grad_main': 0.1 * main_gradient,
        'pert_grad_aux': 0.01 * aux_gradient}
    for name, value in ours.items():
      golden = d[name]
      if np.isnan(d['pert_total']):
        golden = np.zeros_like(golden)
      yield f'{case}_{name}', value, golden, *_tolerance(golden)


def pixmatch_pseudo_label(path: pathlib.Path) -> Iterator[Difference]:
  """Labels of both heads at each recorded threshold."""
  d = _load(path)
  for prefix, _ in _cases(d, '_', 'label_main'):
    ours = pseudo_labels.from_two_heads(
        jnp.asarray(d['logits_main']), jnp.asarray(d['logits_aux']),
        threshold=float(prefix.removeprefix('T')))
    for head, label in zip(('main', 'aux'), ours):
      name = f'{prefix}_label_{head}'
      yield name, _from_255(label), d[name], *EXACT


def pixmatch_label_map(path: pathlib.Path) -> Iterator[Difference]:
  """Raw ids to train ids."""
  d = _load(path)
  for name, table in {
      'city19': labels.CITYSCAPES_IDS, 'city16': labels.CITYSCAPES_16_IDS,
      'city13_nthu': labels.restrict(labels.CITYSCAPES_IDS, labels.SUBSET_13),
      'gta19': labels.GTA5_IDS, 'synthia16': labels.SYNTHIA_16_IDS,
      'synthia19': labels.SYNTHIA_IDS}.items():
    yield name, _from_255(labels.map_ids(d['ids'], table)), d[name], *EXACT


def lse_label_map(path: pathlib.Path) -> Iterator[Difference]:
  """Raw ids to train ids; any id that is out of range is ignored."""
  d = _load(path)
  for name, table in {
      'gta5_trainid': labels.GTA5_IDS, 'synthia_trainid': labels.SYNTHIA_IDS,
      'cityscapes_eval_trainid': labels.CITYSCAPES_IDS}.items():
    golden = np.where(d[name] < len(labels.CITYSCAPES_CLASSES), d[name],
                      labels.IGNORE_LABEL)
    yield name, labels.map_ids(d['raw_id'], table), golden, *EXACT


def pixmatch_ema(path: pathlib.Path) -> Iterator[Difference]:
  """The moving average of the learnable tensors."""
  d = _load(path)
  tree = lambda prefix: {
      k.removeprefix(prefix + '/'): jnp.asarray(v) for k, v in d.items()
      if k.startswith(prefix + '/') and '.running_' not in k
      and not k.endswith('_tracked')}
  shadow = tree('shadow0')
  decay = teacher.ema_decay(0, maximum=float(d['decay']), ramp=False)
  steps = {int(k.split('/')[0].removeprefix('model')) for k in d
           if k.startswith('model')}
  for step in sorted(steps):
    shadow = teacher.update(shadow, tree(f'model{step}'), decay)
    for name, golden in tree(f'shadow{step}').items():
      yield f'shadow{step}/{name}', shadow[name], golden, *_tolerance()


def poly_lr(path: pathlib.Path) -> Iterator[Difference]:
  """The poly rate of backbone and heads (PixMatch, EHTDI)."""
  d = _load(path)
  for end in (k for k in d if k.endswith('lr_backbone')):
    prefix = end.removesuffix('lr_backbone')
    rate = schedules.poly(
        jnp.asarray(d[f'{prefix}iter']), base=float(d[f'{prefix}base_lr']),
        num_steps=int(d[f'{prefix}max_iter']),
        power=float(d[f'{prefix}power']))
    yield end, rate, d[end], 0.0, 1e-5
    yield f'{prefix}lr_head', 10 * rate, d[f'{prefix}lr_head'], 0.0, 1e-5


def pixmatch_evaluation(path: pathlib.Path) -> Iterator[Difference]:
  """The accumulated matrix, and scores over 19, 16 and 13 classes."""
  d = dict(np.load(path))
  matrix = np.zeros(d['confusion'].shape, np.int64)
  for i in range(sum(k.startswith('gt') for k in d)):
    matrix += np.asarray(metrics.confusion_matrix(
        jnp.asarray(d[f'gt{i}']), jnp.asarray(d[f'pred{i}']),
        num_classes=len(matrix)))
  yield 'confusion', matrix, d['confusion'].astype(np.int64), *EXACT
  yield 'PA', metrics.pixel_accuracy(matrix), d['PA'], 1e-9, 0.0
  scores = {'MPA': metrics.mean_accuracy, 'MIoU': metrics.mean_iou,
            'MPrec': metrics.mean_precision,
            'FWIoU': metrics.frequency_weighted_iou}
  subsets = {'': None, '_sub16': labels.SUBSET_16, '_sub13': labels.SUBSET_13}
  if len(matrix) == len(labels.SUBSET_16):
    subsets = {'_16': None, '_13': [labels.SUBSET_16.index(c)
                                    for c in labels.SUBSET_13]}
  for name, score in scores.items():
    for suffix, subset in subsets.items():
      if name + suffix in d:
        yield (name + suffix, score(matrix, subset), d[name + suffix], 1e-9,
               0.0)


def lse_evaluation(path: pathlib.Path) -> Iterator[Difference]:
  """Histogram and scores from raw ids; enlarged probabilities."""
  arrays = dict(np.load(path))
  for case, d in _cases(arrays, '_', 'gt_ids'):
    label = labels.map_ids(d['gt_ids'], labels.CITYSCAPES_IDS)
    matrix = metrics.confusion_matrix(
        jnp.asarray(label), jnp.asarray(d['pred']), num_classes=len(d['hist']))
    yield (f'{case}_hist', matrix, d['hist'].astype(np.int32), *EXACT)
    yield f'{case}_iou', metrics.iou(matrix), d['iou'], 1e-9, 0.0
    yield (f'{case}_miou19', np.round(100 * metrics.mean_iou(matrix), 2),
           d['miou19_rounded'], 1e-9, 0.0)
    # The reference's 16 and 13 are plain means: NaN if a class is absent.
    for classes in (labels.SUBSET_16, labels.SUBSET_13):
      ours = np.round(100 * metrics.iou(matrix)[list(classes)].mean(), 2)
      name = f'printed_mIoU{len(classes)}'
      yield f'{case}_{name}', ours, d[name], 1e-9, 0.0
  logits = _load(path)['predict_logits']
  probs = resize.bilinear(jax.nn.softmax(logits),
                          tuple(map(int, arrays['predict_size_hw'])),
                          align_corners=True)
  yield 'predict_probs', probs, arrays['predict_probs'], 2e-6, 0.0
  yield ('predict_label', jnp.argmax(probs, -1), arrays['predict_label'],
         *EXACT)


CHECKS = {
    'daformer_hrda/resize*.npz': resizes,
    'daformer_hrda/ce_loss*.npz': ce_loss,
    'daformer_hrda/classmix*.npz': classmix,
    'daformer_hrda/color_jitter*.npz': color_jitter,
    'daformer_hrda/gaussian_blur*.npz': gaussian_blur,
    'daformer_hrda/augment_gates*.npz': augment_gates,
    'daformer_hrda/pseudo_label*.npz': pseudo_label,
    'daformer_hrda/schedule*.npz': daformer_schedule,
    'daformer_hrda/metric*.npz': metric,
    'pixmatch/losses*.npz': pixmatch_losses,
    'pixmatch/pseudo_label*.npz': pixmatch_pseudo_label,
    'pixmatch/label_map*.npz': pixmatch_label_map,
    'pixmatch/ema*.npz': pixmatch_ema,
    'pixmatch/lr*.npz': poly_lr,
    'pixmatch/eval1[69]*.npz': pixmatch_evaluation,
    'ehtdi/lr*.npz': poly_lr,
    'lse/label_map*.npz': lse_label_map,
    'lse/evaluation*.npz': lse_evaluation,
}
