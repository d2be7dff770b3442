"""Scores of label files as the official Cityscapes evaluation computes them.

Formulas of cityscapesScripts 2.2.4, evalPixelLevelSemanticLabeling: predictions
are label ids; ground truth of an id that is not scored counts nowhere, a
prediction of such an id is a miss; instances of things have equal weight at
any size (iIoU).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from uda_jax import labels
from uda_jax.evaluate import metrics

NAMES = tuple(name for name, _ in labels.CITYSCAPES_LABELS)
NUM_IDS = len(NAMES)
SCORED = tuple(sorted(labels.CITYSCAPES_IDS))
CATEGORIES = tuple(dict.fromkeys(c for _, c in labels.CITYSCAPES_LABELS))

# Mean pixels of an instance in the training set, by id; these ids have
# instances.
INSTANCE_SIZES = {
  24: 3462.4756337644,
  25: 3930.4788056518,
  26: 12794.0202738185,
  27: 27855.1264367816,
  28: 35732.1511111111,
  29: 36771.8241758242,
  30: 16926.9763313609,
  31: 67583.7075812274,
  32: 6298.7200839748,
  33: 4672.3249222261,
}


def members(category: str) -> tuple[int, ...]:
  """Returns all ids of a category."""
  return tuple(
    i for i, (_, c) in enumerate(labels.CITYSCAPES_LABELS) if c == category
  )


def confusion(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
  """Counts pixels by true and predicted id.

  Args:
    truth: [H, W] integers, 0..33.
    prediction: [H, W] integers, 0..33.

  Returns:
    [34, 34] int64, rows truth, columns prediction.
  """
  return metrics.count_pairs(truth, prediction, num_classes=NUM_IDS)


def instance_hits(instances: np.ndarray, prediction: np.ndarray) -> np.ndarray:
  """Weighs the hits and misses of the instances of one image.

  Args:
    instances: [H, W] integers, id * 1000 + number for an instance.
    prediction: [H, W] integers, 0..33.

  Returns:
    [34, 4] float64 by id: hits and misses of the class, hits and misses of its
    category; each instance weighs mean size / own size.
  """
  result = np.zeros((NUM_IDS, 4))
  for instance in np.unique(instances[instances > 1000]):
    number = int(instance) // 1000
    if number not in SCORED:
      continue
    found = prediction[instances == instance]
    weight = INSTANCE_SIZES[number] / found.size
    category = members(labels.CITYSCAPES_LABELS[number][1])
    for column, hit in ((0, found == number), (2, np.isin(found, category))):
      result[number, column] += weight * hit.sum()
      result[number, column + 1] += weight * (~hit).sum()
  return result


def _ratio(hits: float, total: float) -> float:
  return float(metrics.ratio(hits, total))


def _mean(scores: Iterable[float]) -> float:
  return metrics.mean(np.array([*scores]))


def _class_scores(matrix, hits) -> tuple[dict[str, float], dict[str, float]]:
  """IoU and iIoU of every id, NaN where it is not scored."""
  plain = dict.fromkeys(NAMES, float('nan'))
  weighted = dict(plain)
  for i in SCORED:
    false = sum(matrix[j, i] for j in SCORED if j != i)
    plain[NAMES[i]] = _ratio(matrix[i, i], matrix[i].sum() + false)
    if i in INSTANCE_SIZES:
      weighted[NAMES[i]] = _ratio(hits[i, 0], hits[i, 0] + hits[i, 1] + false)
  return plain, weighted


def _category_scores(matrix, hits) -> tuple[dict[str, float], dict[str, float]]:
  """IoU and iIoU of every category, NaN where it is not scored."""
  plain = dict.fromkeys(CATEGORIES, float('nan'))
  weighted = dict(plain)
  for category in CATEGORIES:
    all_ids = members(category)
    inside = [i for i in all_ids if i in SCORED]
    outside = [i for i in SCORED if i not in all_ids]
    if not inside:
      continue
    false = matrix[np.ix_(outside, inside)].sum()
    plain[category] = _ratio(
      matrix[np.ix_(inside, inside)].sum(), matrix[inside].sum() + false
    )
    if all(i in INSTANCE_SIZES for i in all_ids):
      # Here the ids that are not scored (caravan, trailer) count too.
      false = matrix[np.ix_(outside, all_ids)].sum()
      hit, miss = hits[inside, 2].sum(), hits[inside, 3].sum()
      weighted[category] = _ratio(hit, hit + miss + false)
  return plain, weighted


def scores(matrix: np.ndarray, hits: np.ndarray) -> dict[str, Any]:
  """Computes all scores.

  Args:
    matrix: [34, 34] int64, the sum of `confusion` over all images.
    hits: [34, 4] float64, the sum of `instance_hits`.

  Returns:
    The official JSON's entries; NaN where nothing is scored or nothing occurs.
  """
  classes, class_instances = _class_scores(matrix, hits)
  categories, category_instances = _category_scores(matrix, hits)
  return {
    'confMatrix': matrix.tolist(),
    'classScores': classes,
    'classInstScores': class_instances,
    'categoryScores': categories,
    'categoryInstScores': category_instances,
    'averageScoreClasses': _mean(classes.values()),
    'averageScoreInstClasses': _mean(class_instances.values()),
    'averageScoreCategories': _mean(categories.values()),
    'averageScoreInstCategories': _mean(category_instances.values()),
  }
