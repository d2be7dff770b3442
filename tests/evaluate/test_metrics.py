"""The confusion matrix and its scores."""

import jax
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.evaluate import metrics


def _matrix(label, prediction, num_classes):
  return np.asarray(
    jax.jit(metrics.confusion_matrix, static_argnames='num_classes')(
      label, prediction, num_classes=num_classes
    )
  )


# More pixels than are counted at once, and not a multiple of them.
@pytest.mark.parametrize('shape', [(3, 7), (2, 211, 317), (0, 4)])
def test_counts_rows_are_truth_and_ignored_pixels_are_dropped(shape):
  random = np.random.default_rng(0)
  label = random.integers(0, 5, shape, dtype=np.int32)
  label[random.random(shape) < 0.2] = labels.IGNORE_LABEL
  label[random.random(shape) < 0.1] = -1
  prediction = random.integers(0, 5, shape, dtype=np.int32)
  expected = np.zeros((5, 5), np.int64)
  valid = (label >= 0) & (label < 5)
  np.add.at(expected, (label[valid], prediction[valid]), 1)
  matrix = _matrix(label, prediction, 5)
  assert matrix.dtype == np.int32
  np.testing.assert_array_equal(matrix, expected)
  counted = metrics.count_pairs(
    label[valid].astype(np.uint8), prediction[valid], num_classes=5
  )
  np.testing.assert_array_equal(counted, expected)


def test_known_scores():
  # Class 2 is neither there nor predicted, class 3 only predicted.
  matrix = np.array([[6, 2, 0, 0], [1, 3, 0, 4], [0] * 4, [0] * 4])
  np.testing.assert_allclose(metrics.iou(matrix), [6 / 9, 3 / 10, np.nan, 0])
  assert metrics.mean_iou(matrix) == pytest.approx((6 / 9 + 3 / 10) / 3)
  assert metrics.mean_iou(matrix, (1, 2)) == pytest.approx(0.3)
  assert metrics.pixel_accuracy(matrix) == pytest.approx(9 / 16)


def test_perfect_and_empty(recwarn):
  assert metrics.mean_iou(np.diag([3, 1, 4])) == 1
  empty = np.zeros((3, 3), int)
  for score in (metrics.mean_iou, metrics.pixel_accuracy):
    assert np.isnan(score(empty))
  assert not recwarn.list


def test_renamed_classes_have_their_scores_renamed():
  matrix = np.random.default_rng(0).integers(0, 50, (5, 5))
  order = [3, 1, 4, 0, 2]
  np.testing.assert_allclose(
    metrics.iou(matrix[np.ix_(order, order)]), metrics.iou(matrix)[order]
  )


def test_maps_of_other_shapes_are_refused():
  label = np.zeros((4, 6), int)
  with pytest.raises(ValueError, match='prediction: expected the shape'):
    metrics.confusion_matrix(label, label.T, num_classes=2)
