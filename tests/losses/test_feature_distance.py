"""The feature distance: analytic values, ties, empty and degenerate input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.losses import feature_distance


def _distance(feature, reference, label, *, classes=(1,), min_fraction=0.75):
  return feature_distance.class_feature_distance(
    jnp.asarray(feature),
    jnp.asarray(reference),
    jnp.asarray(label),
    num_classes=3,
    classes=classes,
    min_fraction=min_fraction,
  )


def test_dominant_label_counts_ignored_pixels_and_keeps_the_lowest_of_equals():
  label = np.array([[[0, 1, 2, 2, 255, 255, 9], [0, 1, 2, 0, 255, 1, 9]]])
  shrink = lambda share: feature_distance.dominant_label(
    jnp.asarray(label), cell=2, num_classes=3, min_fraction=share
  )
  # The last column does not fill a cell.
  np.testing.assert_array_equal(shrink(0.5), [[[0, 2, 255]]])
  np.testing.assert_array_equal(shrink(0.75), [[[255, 2, 255]]])
  np.testing.assert_array_equal(shrink(0.8), [[[255, 255, 255]]])


def test_mean_of_norms_over_the_cells_of_the_classes():
  feature = np.zeros((1, 1, 3, 2), np.float32)
  reference = np.array([[[[3, 4], [6, 8], [100, 0]]]], np.float32)
  label = np.array([[[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0]]])
  assert _distance(feature, reference, label) == pytest.approx(7.5)
  assert _distance(feature, reference, label, classes=()) == pytest.approx(
    115 / 3
  )


@pytest.mark.parametrize('case', ['no cell', 'no distance', 'apart'])
def test_gradients_are_finite(case):
  random = np.random.default_rng(0)
  feature = random.normal(size=(2, 2, 2, 3)).astype(np.float32)
  reference = feature if case == 'no distance' else feature + 1
  label = np.full((2, 4, 4), 255 if case == 'no cell' else 1)
  value, gradient = jax.value_and_grad(_distance)(feature, reference, label)
  assert np.all(np.isfinite(gradient))
  if case == 'apart':
    np.testing.assert_allclose(value, np.sqrt(3), rtol=1e-6)
    np.testing.assert_allclose(gradient, -1 / np.sqrt(3) / 8, rtol=1e-5)
  else:
    assert value == 0
    assert not np.any(gradient)


def test_a_label_that_does_not_fit_is_named():
  with pytest.raises(ValueError, match=r'label: .*gives \(1, 1, 2\)'):
    _distance(
      np.zeros((1, 2, 2, 3)), np.ones((1, 2, 2, 3)), np.zeros((1, 2, 4), int)
    )


def test_a_label_smaller_than_the_features_is_named():
  with pytest.raises(ValueError, match=r'label: .*expected the size'):
    _distance(
      np.zeros((1, 4, 4, 3)), np.ones((1, 4, 4, 3)), np.zeros((1, 2, 2), int)
    )


def test_classes_may_be_an_array():
  arrays = np.zeros((1, 2, 2, 3)), np.ones((1, 2, 2, 3)), np.ones((1, 4, 4))
  np.testing.assert_array_equal(
    _distance(*arrays, classes=np.array([1])), _distance(*arrays, classes=(1,))
  )
