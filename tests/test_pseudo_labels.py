"""Labels from logits, and the trust in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax import pseudo_labels

IGNORE = labels.IGNORE_LABEL


def test_label_and_confidence():
  prob = np.array([[[[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]]]], np.float32)
  label, confidence = pseudo_labels.from_logits(np.log(prob))
  assert label.dtype == jnp.int32
  np.testing.assert_array_equal(label, [[[1, 0]]])
  np.testing.assert_allclose(confidence, [[[0.7, 0.5]]], rtol=1e-6)
  label, confidence = pseudo_labels.from_logits(jnp.zeros((1, 1, 1, 4)))
  assert label == 0 and confidence == pytest.approx(0.25)


def test_the_share_is_taken_over_batch_image_or_pixel():
  confidence = jnp.array([[[0.9, 0.5], [0.9, 0.9]], [[0.1, 0.2], [0.3, 0.9]]])
  weight = lambda over: pseudo_labels.quality_weight(
    confidence, threshold=0.9, fraction_over=over
  )
  np.testing.assert_allclose(weight('batch'), np.full((2, 2, 2), 0.5))
  np.testing.assert_allclose(weight('image')[:, 0, 0], [0.75, 0.25])
  np.testing.assert_array_equal(weight('pixel'), confidence >= 0.9)
  for over in ('batch', 'image', 'pixel'):
    assert weight(over).shape == confidence.shape
  none = pseudo_labels.quality_weight(confidence, threshold=0.95)
  np.testing.assert_array_equal(none, 0)
  with pytest.raises(ValueError, match="fraction_over.*'group'"):
    weight('group')


def test_invalid_pixels_weigh_nothing():
  valid_mask = np.zeros((5, 6), bool)
  valid_mask[1:3, :3] = True
  weight = pseudo_labels.mask_weight(jnp.full((2, 5, 6), 0.3), valid_mask)
  np.testing.assert_allclose(
    weight, np.tile(0.3 * valid_mask, (2, 1, 1)), rtol=1e-6
  )
  # A masked NaN is gone: 0 * NaN would not be.
  masked = pseudo_labels.mask_weight(
    jnp.array([np.nan, 1.0]), np.array([False, True])
  )
  np.testing.assert_array_equal(masked, [0, 1])


def test_two_heads():
  main = np.log([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
  aux = np.log([[0.1, 0.5, 0.4], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3]])
  label, aux_label = pseudo_labels.from_two_heads(main, aux, threshold=0.6)
  np.testing.assert_array_equal(label, [0, IGNORE, IGNORE])
  np.testing.assert_array_equal(aux_label, [0, 1, IGNORE])
  label, aux_label = pseudo_labels.from_two_heads(main, aux, threshold=0.0)
  np.testing.assert_array_equal(label, [0, 0, 0])
  np.testing.assert_array_equal(aux_label, [0, 1, 0])
  # The limit itself is not above the limit.
  flat = jnp.zeros((1, 2))
  label, aux_label = pseudo_labels.from_two_heads(flat, flat, threshold=0.5)
  assert label == IGNORE and aux_label == IGNORE


def test_order_of_images_is_irrelevant():
  logits = jax.random.normal(jax.random.key(0), (3, 4, 5, 6))
  label, confidence = pseudo_labels.from_logits(logits)
  turned, _ = pseudo_labels.from_logits(logits[::-1])
  np.testing.assert_array_equal(turned, label[::-1])
  weight = pseudo_labels.quality_weight(
    confidence, threshold=0.5, fraction_over='image'
  )
  np.testing.assert_array_equal(
    weight[::-1],
    pseudo_labels.quality_weight(
      confidence[::-1], threshold=0.5, fraction_over='image'
    ),
  )


def test_entropy_is_that_of_the_definition():
  prob = jnp.array([[0.5, 0.5, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
  np.testing.assert_allclose(
    pseudo_labels.entropy(prob), [np.log(2), 0, np.log(3)], atol=1e-6
  )


def test_values_are_stretched_within_class_and_image():
  value = jnp.array(
    [[[1.0, 3.0, 2.0], [5.0, 7.0, 5.0]], [[9.0, 9.0, 9.0], [1.0, 2.0, 0.0]]]
  )
  label = jnp.array([[[0, 0, 0], [1, 1, 2]], [[0, 0, 0], [1, 1, 1]]])
  stretched = pseudo_labels.stretch_by_class(value, label, num_classes=4)
  nan = np.nan
  np.testing.assert_allclose(
    stretched, [[[0, 1, 0.5], [0, 1, nan]], [[nan, nan, nan], [0.5, 1, 0]]]
  )
  means = pseudo_labels.class_means(stretched, label, num_classes=4)
  np.testing.assert_allclose(
    means, [[0.5, 0.5, nan, nan], [nan, 0.5, nan, nan]]
  )


def test_limits_keep_what_is_below_and_what_is_not_defined():
  value = jnp.array([[0.2, 0.5, 0.8, np.nan]])
  keep = lambda label, limits: pseudo_labels.below_class_limits(
    value, jnp.array([label]), jnp.array(limits)
  )[0].tolist()
  assert keep([0, 0, 0, 0], [0.5, 0.0]) == [True, False, False, True]
  assert keep([0, 1, 1, 1], [0.0, np.inf]) == [False, True, True, True]
  assert keep([0, 1, 1, 1], [0.3, np.nan]) == [True, True, True, True]


def test_class_statistics_of_the_predicted_classes():
  prob = jnp.array(
    [[[0.6, 0.4, 0], [0.8, 0.2, 0], [0.7, 0.3, 0], [0.1, 0.9, 0]]]
  )
  confidence, entropy = pseudo_labels.class_statistics(prob)
  np.testing.assert_allclose(confidence, [0.7, 0.9, np.nan], rtol=1e-6)
  # The middle one of three lies where its entropy does; one pixel has none.
  low, mid, high = map(
    float, pseudo_labels.entropy(prob)[0, jnp.array([1, 2, 0])]
  )
  np.testing.assert_allclose(
    entropy, [(1 + (mid - low) / (high - low)) / 3, np.nan, np.nan], rtol=1e-5
  )


@pytest.mark.parametrize('dtype', [jnp.float16, jnp.bfloat16])
def test_class_means_of_large_images(dtype):
  label = jnp.zeros((300, 400), int)
  mean, absent = pseudo_labels.class_means(
    jnp.full(label.shape, 0.875, dtype), label, num_classes=2
  )
  assert mean == 0.875 and jnp.isnan(absent)


def test_entropy_of_certain_pixels_in_float16():
  prob = jnp.array([[1.0, 0.0], [0.5, 0.5]], jnp.float16)
  np.testing.assert_allclose(
    pseudo_labels.entropy(prob), [0, np.log(2)], atol=1e-6
  )
