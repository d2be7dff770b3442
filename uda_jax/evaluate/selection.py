"""Criteria for the best checkpoint: by target labels, or without any.

In practice the target has no labels. The other criteria look at predictions
alone. A network that has collapsed to a few classes is certain and consistent,
too; `prior` alone looks at how often classes are predicted, and all criteria
are logged side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import pseudo_labels
from uda_jax import types
from uda_jax.data import image_size
from uda_jax.data import records
from uda_jax.evaluate import protocol
from uda_jax.evaluate import reports
from uda_jax.evaluate import tta

LABELED = 'miou'
# Part of the expected class frequencies that is the same for all classes.
_UNIFORM = 0.01
# Name -> f(label-free statistics): larger is better.
LABEL_FREE: dict[str, Callable[[dict[str, float]], float]] = {
  'entropy': lambda statistics: -statistics['entropy'],
  'confident': lambda statistics: statistics['confident'],
  'agreement': lambda statistics: statistics['agreement'],
  'prior': lambda statistics: -statistics['prior'],
}


def statistics(
  logits: jax.Array, other: jax.Array | None = None, *, threshold: float
) -> dict[str, jax.Array]:
  """Describes predictions without labels, image by image.

  Args:
    logits: [B, H, W, C] float, of the evaluated network.
    other: [B, H, W, C] float, of its teacher or student; None: there is none.
    threshold: a pixel is confident if its probability is not below.

  Returns:
    Means over the pixels of each image, [B] float: `entropy` in nats,
    `confident` share and, with `other`, the share of pixels in `agreement`;
    and `probability` [B, C] of each class.
  """
  logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
  label, confidence = pseudo_labels.from_logits(logits)
  probability = jax.nn.softmax(logits)
  pixels = {
    'entropy': pseudo_labels.entropy(probability),
    'confident': (confidence >= threshold).astype(logits.dtype),
    'probability': probability,
  }
  if other is not None:
    same = label == jnp.argmax(other, -1)
    pixels['agreement'] = same.astype(logits.dtype)
  return {name: value.mean((1, 2)) for name, value in pixels.items()}


def summarize(
  means: dict[str, Any], class_pixels: np.ndarray
) -> dict[str, float]:
  """Returns the statistics of a set of images.

  Args:
    means: over images, of the values of `statistics`; `probability` is [C].
    class_pixels: [C] labeled pixels of each class of the source.

  Returns:
    Those but `probability`; `shift` >= 0 in nats, the divergence KL(mean
    prediction || classes of the source); and `prior`, the mean entropy plus the
    shift. It is small if single predictions are certain and classes are
    predicted as often as they occur in the source. With equally frequent
    classes it is log C minus the mutual information that SHOT maximizes (arXiv
    2002.08546, eq. 3), which alone would prefer rare classes to be predicted as
    often as others.
  """
  found = {name: float(x) for name, x in means.items() if not np.ndim(x)}
  mean = np.asarray(means['probability'], np.float64)
  # Without zeros: a class that the source lacks may still be predicted.
  uniform = 1 / len(mean)
  share = class_pixels / max(class_pixels.sum(), 1)
  share = (1 - _UNIFORM) * share + _UNIFORM * uniform
  # The limit of x log x at 0 is 0.
  logarithm = np.log(mean / share, where=mean > 0, out=np.zeros_like(mean))
  found['shift'] = float((mean * logarithm).sum())
  found['prior'] = found['entropy'] + found['shift']
  return found


def score(config: types.Config, report: dict[str, Any]) -> dict[str, Any]:
  """Returns the value that the best checkpoint maximizes, for `save_best`.

  Args:
    config: the run's.
    report: of the evaluated network, with `label_free` where it was measured.
  """
  best, subset = config.checkpoint.best, config.checkpoint.best_subset
  if best == LABELED:
    return {
      'metric': f'eval/miou/{subset}',
      'value': report['miou'][subset],
      'report': report,
    }
  return {
    'metric': f'eval/label_free/{best}',
    'value': LABEL_FREE[best](report['label_free']),
    'report': report,
  }


def scoring(config: types.Config) -> str:
  """Describes how a start of a run scores, which a later one may change."""
  block = config.eval
  views = tta.describe(block.scales, block.flip)
  seen = image_size.seen(config.data)
  # Classes may be a range, or NumPy's numbers.
  more = [x.to_json_best_effort() for x in (block.subsets, block.label_free)]
  return '; '.join([protocol.describe(block), views, f'images {seen}', *more])


def out_of_patience(
  config: types.Config, step: int, best: dict[str, Any]
) -> bool:
  """Returns whether training stops, as no network has been better for long.

  A function of what is on disk: a resumed run stops where it would have.

  Args:
    config: the run's; `eval.patience` evaluations in a row without a better
      network end it.
    step: of an evaluation, or the one that the run resumes at.
    best: score of the best network so far with its `step`.
  """
  every, patience = config.eval.every, config.eval.patience
  if not every or not patience:
    return False
  return step // every - best['step'] // every >= patience


def describe(config: types.Config) -> str:
  """Returns in words how a run selects its best checkpoint."""
  if config.checkpoint.best != LABELED:
    return f'selected by {config.checkpoint.best}, without target labels'
  source, target, evaluation = (
    {(x.record['kind'], x.record.get('name')) for x in records.entries(*part)}
    for part in ((config.data, name) for name in records.PARTS)
  )
  # The oracle's source is the target.
  if evaluation <= source and source != target:
    return 'selected on source labels'
  return 'selected on target labels'


def note(config: types.Config, which: str) -> dict[str, str]:
  """Returns the field `selected` of a report, {} for a network not selected.

  Args:
    config: the run's.
    which: 'student', 'teacher' or 'best'.
  """
  # Without evaluations during training, the best is the last.
  selected = which == 'best' and config.eval.every
  return {'selected': describe(config)} if selected else {}


def check(config: types.Config) -> None:
  """Raises ValueError for a criterion that this run cannot compute."""
  best, subset = config.checkpoint.best, config.checkpoint.best_subset
  allowed = (LABELED, *LABEL_FREE)
  if best not in allowed:
    raise ValueError(
      f'config.checkpoint.best: expected one of {allowed}, got {best!r}'
    )
  subsets = (reports.ALL, *config.eval.subsets)
  if subset not in subsets:
    raise ValueError(
      'config.checkpoint.best_subset: expected one of '
      f'{subsets} (config.eval.subsets), got {subset!r}'
    )
  if best in LABEL_FREE and not config.eval.label_free.num_images:
    raise ValueError(
      'config.eval.label_free.num_images: expected 1 or more, since '
      f'config.checkpoint.best is {best!r}, got 0'
    )
  if best == 'agreement' and not config.teacher.use:
    raise ValueError(
      'config.checkpoint.best: expected one of '
      f'{(LABELED, "entropy", "confident")} without a teacher '
      "(config.teacher.use is off), got 'agreement'"
    )
