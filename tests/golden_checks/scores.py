"""Label tables, scores, schedules and the teacher against golden files.

Every check yields (name, ours, golden, atol, rtol). Cases, sizes and values are
read from the file. The precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import configs
from uda_jax import labels
from uda_jax import types
from uda_jax.evaluate import counts
from uda_jax.evaluate import inference
from uda_jax.evaluate import metrics
from uda_jax.evaluate import protocol
from uda_jax.evaluate import reports
from uda_jax.evaluate import scoring
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
      'acc': metrics.accuracy(matrix),
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


_NOTHING = types.Variables({}, {})


class _Batch(NamedTuple):
  """As `splits.EvalBatch`."""

  image: np.ndarray
  label: np.ndarray
  valid: np.ndarray
  index: np.ndarray


def _network(forward: Callable[..., types.Outputs]) -> types.Network:
  """A network without variables: `forward(image)`."""
  same = lambda image: image
  return types.Network(
    lambda key, size: _NOTHING,
    lambda params, batch_stats, image, **_: (forward(image), batch_stats),
    same,
    same,
  )


def _recorded(num_classes: int) -> types.Network:
  """A network that predicts what stands in the first channel of the image."""
  one_hot = lambda image: jax.nn.one_hot(image[..., 0].astype(int), num_classes)
  return _network(lambda image: types.Outputs(one_hot(image)))


def _pictures(prediction: np.ndarray) -> np.ndarray:
  """[..., H, W, 3] uint8, for `_recorded`."""
  return np.repeat(prediction[..., None], 3, -1).astype(np.uint8)


def pixmatch_evaluation(path: pathlib.Path) -> Iterator[common.Difference]:
  """The accumulated matrix, and mean IoU over 19, 16 and 13 classes."""
  d = dict(np.load(path))
  num_classes = len(d['confusion'])
  how = protocol.configured(configs.load('gta5_to_cityscapes/pixmatch').eval)
  count = sum(k.startswith('gt') for k in d)
  batches = [
    _Batch(
      _pictures(d[f'pred{i}']),
      common.to_255(truth),
      np.ones(len(truth), bool),
      np.full(len(truth), i),
    )
    for i, truth in enumerate(d[f'gt{i}'] for i in range(count))
  ]
  predict = inference.make_predict(_recorded(num_classes), how)
  matrix = counts.evaluate(predict, _NOTHING, batches, num_classes=num_classes)
  yield 'confusion', matrix, d['confusion'].astype(np.int64), *common.EXACT
  means = {'MIoU': range(num_classes)}
  means |= {'MIoU_sub16': labels.SUBSET_16, 'MIoU_sub13': labels.SUBSET_13}
  if num_classes == len(labels.SUBSET_16):
    means = {
      'MIoU_16': range(num_classes),
      'MIoU_13': [labels.SUBSET_16.index(c) for c in labels.SUBSET_13],
    }
  report = reports.report(matrix, list(map(str, range(num_classes))), means)
  yield 'PA', report['pixel_accuracy'], d['PA'], 1e-9, 0.0
  yield from _further_scores(matrix, report, d)
  for name, mean in report['miou'].items():
    yield name, mean, d[name], 1e-9, 0.0


def _further_scores(matrix, report, d) -> Iterator[common.Difference]:
  """Mean accuracy, mean precision and IoU weighted by frequency.

  The evaluation of 16 classes gives each over 13 of them, too.
  """
  names = ('MPA', 'MPrec', 'FWIoU')
  keys = ('mean_accuracy', 'mean_precision', 'frequency_weighted_iou')
  end = '' if 'MPA' in d else f'_{len(matrix)}'
  for name, key in zip(names, keys):
    yield f'{name}{end}', report[key], d[f'{name}{end}'], 1e-9, 0.0
  if end:
    few = [labels.SUBSET_16.index(c) for c in labels.SUBSET_13]
    scores = (
      metrics.mean(metrics.accuracy(matrix), few),
      metrics.mean(metrics.precision(matrix), few),
      metrics.frequency_weighted_iou(matrix, few),
    )
    for name, ours in zip(names, scores):
      yield f'{name}_13', ours, d[f'{name}_13'], 1e-9, 0.0


def _lse_hist(d: dict[str, np.ndarray]) -> np.ndarray:
  """The confusion matrix of label files as scoring a run of LSE counts it."""
  num_classes = len(d['hist'])
  label = common.train_ids(d['gt_ids'], labels.CITYSCAPES_IDS)
  if (label == labels.IGNORE_LABEL).all():  # No run takes such a data set.
    return np.asarray(
      metrics.confusion_matrix(label, d['pred'], num_classes=num_classes)
    )
  config = configs.load('gta5_to_cityscapes/lse')
  config.data.eval_image_size = d['pred'].shape[1:]
  predict = inference.make_predict(
    _recorded(num_classes), protocol.configured(config.eval)
  )
  pictures = _pictures(d['pred'])
  with common.cityscapes_val(config, pictures, d['gt_ids']) as data:
    return counts.evaluate(
      predict,
      _NOTHING,
      scoring.batches(config, data),
      num_classes=num_classes,
    )


def lse_evaluation(path: pathlib.Path) -> Iterator[common.Difference]:
  """Histogram and scores from raw ids; enlarged probabilities."""
  arrays = dict(np.load(path))
  for case, d in common.cases(arrays, '_', 'gt_ids'):
    matrix = _lse_hist(d)
    yield (f'{case}_hist', matrix, d['hist'].astype(np.int64), *common.EXACT)
    report = reports.report(
      matrix, labels.CITYSCAPES_CLASSES, {'all': range(len(matrix))}
    )
    iou = np.array([*report['iou'].values()], float)
    yield f'{case}_iou', iou, d['iou'], 1e-9, 0.0
    yield (
      f'{case}_miou19',
      np.round(100 * np.float64(report['miou']['all']), 2),
      d['miou19_rounded'],
      1e-9,
      0.0,
    )
    # The reference's 16 and 13 are plain means: NaN if a class is absent.
    for classes in (labels.SUBSET_16, labels.SUBSET_13):
      ours = np.round(100 * iou[list(classes)].mean(), 2)
      name = f'printed_mIoU{len(classes)}'
      yield f'{case}_{name}', ours, d[name], 1e-9, 0.0
  yield from _lse_predict(common.load(path), arrays)


def _lse_predict(d, arrays) -> Iterator[common.Difference]:
  """Predictions from the grid of DeepLab-v2, by the protocol of its config."""
  low = jnp.asarray(d['predict_logits'])
  enlarged = jnp.zeros((len(low), 8, 16, low.shape[-1]), low.dtype)
  network = _network(
    lambda image: types.Outputs(enlarged, maps={'low_logits': low})
  )
  block = configs.load('gta5_to_cityscapes/lse_deeplab').eval
  how = protocol.configured(block)
  size = tuple(map(int, arrays['predict_size_hw']))
  images = np.zeros((len(low), 8, 16, 3), np.uint8)
  scores = inference.make_scores(network, how)(_NOTHING, images, size)
  probs = inference.probabilities(scores, how)
  yield 'predict_probs', probs, arrays['predict_probs'], 2e-6, 0.0
  label = inference.make_predict(network, how)(_NOTHING, images, size)
  yield 'predict_label', label, arrays['predict_label'], *common.EXACT


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
