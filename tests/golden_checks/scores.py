"""Label tables, scores, schedules and the teacher against golden files.

Every check yields (name, ours, golden, atol, rtol). Cases, sizes and values are
read from the file. The precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import labels
from uda_jax import types
from uda_jax.evaluate import metrics
from uda_jax.ops import resize
from uda_jax.train import schedules
from uda_jax.train import teacher


def _follow(decay: float, ramp: bool, step: int, params, student):
  """The teacher's parameters after a step."""
  rule = teacher.Rule(decay, ramp)
  before, after = types.Variables(params, ()), types.Variables(student, ())
  return teacher.follow(rule, step, before, after, ()).params


def daformer_schedule(path: pathlib.Path) -> Iterator[common.Difference]:
  """Poly decay times warm-up; decay of the teacher and its first updates."""
  d = common.load(path)
  for name in (k.removeprefix('iter_') for k in d if k.startswith('iter_')):
    # 'lr_40k': 40000 iterations; bases and warm-up as the README says.
    steps = jnp.asarray(d[f'iter_{name}'])
    warmup = schedules.linear_warmup(steps, num_steps=1500, ratio=1e-6)
    for column, base in enumerate((6e-5, 6e-4)):
      rate = warmup * schedules.poly(
        steps,
        base=base,
        power=1.0,
        num_steps=1000 * int(name.removesuffix('k')),
      )
      yield f'lr_{name}[{column}]', rate, d[f'lr_{name}'][:, column], 0.0, 1e-5
  yield (
    'ema_alpha',
    teacher.ema_decay(d['ema_iter'], maximum=0.999),
    d['ema_alpha'],
    *common.tolerance(),
  )
  params = jnp.asarray(d['ema_student'][0])
  for t, student in enumerate(d['ema_student']):
    params = _follow(0.999, True, t, params, jnp.asarray(student))
    yield f'ema_teacher[{t}]', params, d['ema_teacher'][t], *common.tolerance()


def metric(path: pathlib.Path) -> Iterator[common.Difference]:
  """Pixel accuracy and IoU from labels and predictions."""
  for case, d in common.cases(dict(np.load(path)), '.', 'gt'):
    matrix = metrics.confusion_matrix(
      jnp.asarray(d['gt']),
      jnp.asarray(d['pred']),
      num_classes=int(d['num_classes']),
    )
    for name, ours in {
      'aacc': metrics.pixel_accuracy(matrix),
      'iou': metrics.iou(matrix),
      'miou_percent': np.round(100 * metrics.mean_iou(matrix), 2),
    }.items():
      yield f'{case}.{name}', ours, d[name], 1e-9, 0.0


def pixmatch_label_map(path: pathlib.Path) -> Iterator[common.Difference]:
  """Raw ids to train ids."""
  d = common.load(path)
  for name, table in {
    'city19': labels.CITYSCAPES_IDS,
    'city16': labels.CITYSCAPES_16_IDS,
    'city13_nthu': labels.restrict(labels.CITYSCAPES_IDS, labels.SUBSET_13),
    'gta19': labels.GTA5_IDS,
    'synthia16': labels.SYNTHIA_16_IDS,
    'synthia19': labels.SYNTHIA_IDS,
  }.items():
    ours = common.train_ids(d['ids'], table)
    yield name, common.from_255(ours), d[name], *common.EXACT


def lse_label_map(path: pathlib.Path) -> Iterator[common.Difference]:
  """Raw ids to train ids; any id that is out of range is ignored."""
  d = common.load(path)
  for name, table in {
    'gta5_trainid': labels.GTA5_IDS,
    'synthia_trainid': labels.SYNTHIA_IDS,
    'cityscapes_eval_trainid': labels.CITYSCAPES_IDS,
  }.items():
    golden = np.where(
      d[name] < len(labels.CITYSCAPES_CLASSES), d[name], labels.IGNORE_LABEL
    )
    yield name, common.train_ids(d['raw_id'], table), golden, *common.EXACT


def pixmatch_ema(path: pathlib.Path) -> Iterator[common.Difference]:
  """The moving average of the learnable tensors."""
  d = common.load(path)
  tree = lambda prefix: {
    k.removeprefix(prefix + '/'): jnp.asarray(v)
    for k, v in d.items()
    if k.startswith(prefix + '/')
    and '.running_' not in k
    and not k.endswith('_tracked')
  }
  shadow = tree('shadow0')
  steps = {
    int(k.split('/')[0].removeprefix('model'))
    for k in d
    if k.startswith('model')
  }
  for step in sorted(steps):
    shadow = _follow(
      float(d['decay']), False, step, shadow, tree(f'model{step}')
    )
    for name, golden in tree(f'shadow{step}').items():
      yield f'shadow{step}/{name}', shadow[name], golden, *common.tolerance()


def poly_lr(path: pathlib.Path) -> Iterator[common.Difference]:
  """The poly rate of backbone and heads (PixMatch, EHTDI)."""
  d = common.load(path)
  for end in (k for k in d if k.endswith('lr_backbone')):
    prefix = end.removesuffix('lr_backbone')
    rate = schedules.poly(
      jnp.asarray(d[f'{prefix}iter']),
      base=float(d[f'{prefix}base_lr']),
      num_steps=int(d[f'{prefix}max_iter']),
      power=float(d[f'{prefix}power']),
    )
    yield end, rate, d[end], 0.0, 1e-5
    yield f'{prefix}lr_head', 10 * rate, d[f'{prefix}lr_head'], 0.0, 1e-5


def pixmatch_evaluation(path: pathlib.Path) -> Iterator[common.Difference]:
  """The accumulated matrix, and mean IoU over 19, 16 and 13 classes."""
  d = dict(np.load(path))
  matrix = np.zeros(d['confusion'].shape, np.int64)
  for i in range(sum(k.startswith('gt') for k in d)):
    matrix += np.asarray(
      metrics.confusion_matrix(
        jnp.asarray(d[f'gt{i}']),
        jnp.asarray(d[f'pred{i}']),
        num_classes=len(matrix),
      )
    )
  yield 'confusion', matrix, d['confusion'].astype(np.int64), *common.EXACT
  yield 'PA', metrics.pixel_accuracy(matrix), d['PA'], 1e-9, 0.0
  subsets = {'': None, '_sub16': labels.SUBSET_16, '_sub13': labels.SUBSET_13}
  if len(matrix) == len(labels.SUBSET_16):
    subsets = {
      '_16': None,
      '_13': [labels.SUBSET_16.index(c) for c in labels.SUBSET_13],
    }
  for suffix, subset in subsets.items():
    name = f'MIoU{suffix}'
    if name in d:
      yield name, metrics.mean_iou(matrix, subset), d[name], 1e-9, 0.0


def lse_evaluation(path: pathlib.Path) -> Iterator[common.Difference]:
  """Histogram and scores from raw ids; enlarged probabilities."""
  arrays = dict(np.load(path))
  for case, d in common.cases(arrays, '_', 'gt_ids'):
    label = common.train_ids(d['gt_ids'], labels.CITYSCAPES_IDS)
    matrix = metrics.confusion_matrix(
      jnp.asarray(label), jnp.asarray(d['pred']), num_classes=len(d['hist'])
    )
    yield (f'{case}_hist', matrix, d['hist'].astype(np.int32), *common.EXACT)
    yield f'{case}_iou', metrics.iou(matrix), d['iou'], 1e-9, 0.0
    yield (
      f'{case}_miou19',
      np.round(100 * metrics.mean_iou(matrix), 2),
      d['miou19_rounded'],
      1e-9,
      0.0,
    )
    # The reference's 16 and 13 are plain means: NaN if a class is absent.
    for classes in (labels.SUBSET_16, labels.SUBSET_13):
      ours = np.round(100 * metrics.iou(matrix)[list(classes)].mean(), 2)
      name = f'printed_mIoU{len(classes)}'
      yield f'{case}_{name}', ours, d[name], 1e-9, 0.0
  logits = common.load(path)['predict_logits']
  probs = resize.bilinear(
    jax.nn.softmax(logits),
    tuple(map(int, arrays['predict_size_hw'])),
    align_corners=True,
  )
  yield 'predict_probs', probs, arrays['predict_probs'], 2e-6, 0.0
  yield (
    'predict_label',
    jnp.argmax(probs, -1),
    arrays['predict_label'],
    *common.EXACT,
  )


CHECKS = {
  'daformer_hrda/schedule*.npz': daformer_schedule,
  'daformer_hrda/metric*.npz': metric,
  'pixmatch/label_map*.npz': pixmatch_label_map,
  'pixmatch/ema*.npz': pixmatch_ema,
  'pixmatch/lr*.npz': poly_lr,
  'pixmatch/eval1[69]*.npz': pixmatch_evaluation,
  'ehtdi/lr*.npz': poly_lr,
  'lse/label_map*.npz': lse_label_map,
  'lse/evaluation*.npz': lse_evaluation,
}
