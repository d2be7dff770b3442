"""Cross-entropy of label maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax import losses
from uda_jax.losses import segmentation

IGNORE = labels.IGNORE_LABEL


def _example(seed=0, shape=(2, 4, 6), classes=3):
  random = np.random.default_rng(seed)
  return (
    random.normal(size=(*shape, classes)).astype(np.float32),
    random.integers(0, classes, shape).astype(np.int32),
  )


def test_equal_logits_cost_log_c():
  logits, label = _example()
  loss = losses.cross_entropy(np.zeros_like(logits), label)
  np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)


def test_both_averages_weigh_and_ignore():
  logits, label = _example()
  label[0, :2] = IGNORE
  weight = np.random.default_rng(1).random(label.shape).astype(np.float32)
  prob = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  valid = label != IGNORE
  index = np.where(valid, label, 0)[..., None]
  each = -np.log(np.take_along_axis(prob, index, -1)[..., 0]) * valid * weight
  for average, count in (('all', label.size), ('valid', valid.sum())):
    loss = losses.cross_entropy(logits, label, weight=weight, average=average)
    np.testing.assert_allclose(loss, each.sum() / count, rtol=1e-5)


@pytest.mark.parametrize('average', ['all', 'valid'])
def test_nothing_but_ignored_pixels_is_zero_with_zero_gradient(average):
  logits, label = _example()
  loss, gradient = jax.value_and_grad(losses.cross_entropy)(
    logits, np.full_like(label, IGNORE), average=average
  )
  assert loss == 0
  np.testing.assert_array_equal(gradient, 0)


def test_gradient_is_prob_minus_one_hot_and_finite_at_large_logits():
  logits, label = _example()
  label[1] = IGNORE
  gradient = jax.grad(losses.cross_entropy)(logits, label, average='valid')
  prob = jax.nn.softmax(logits)
  expected = (prob - jax.nn.one_hot(label, 3)) * (label != IGNORE)[..., None]
  np.testing.assert_allclose(gradient, expected / 24, atol=1e-7)
  loss, gradient = jax.value_and_grad(losses.cross_entropy)(1e4 * logits, label)
  assert np.isfinite(loss) and np.isfinite(gradient).all()


def test_order_of_pixels_and_of_classes_is_irrelevant():
  logits, label = _example()
  loss = losses.cross_entropy(logits, label)
  pixels = np.random.default_rng(2).permutation(label.size)
  shuffled = losses.cross_entropy(
    logits.reshape(-1, 3)[pixels].reshape(logits.shape),
    label.reshape(-1)[pixels].reshape(label.shape),
  )
  np.testing.assert_allclose(shuffled, loss, rtol=1e-6)
  renamed = losses.cross_entropy(
    logits[..., [2, 0, 1]], np.array([1, 2, 0], np.int32)[label]
  )
  np.testing.assert_allclose(renamed, loss, rtol=1e-6)


def test_an_unknown_class_is_nan_not_a_wrong_number():
  logits, label = _example()
  for wrong in (-1, 3, 254):
    bad = label.copy()
    bad[0, 0, 0] = wrong
    assert np.isnan(losses.cross_entropy(logits, bad))


def test_resized_equals_resizing_first():
  logits, _ = _example()
  _, label = _example(shape=(2, 8, 12))
  loss, gradient = jax.jit(jax.value_and_grad(losses.resized_cross_entropy))(
    logits, label
  )
  large = jax.image.resize(logits, (2, 8, 12, 3), 'bilinear')
  np.testing.assert_allclose(
    loss, losses.cross_entropy(large, label), rtol=1e-6
  )
  assert np.isfinite(gradient).all() and np.any(gradient)


def test_dtypes():
  logits, label = _example()
  half = jnp.asarray(logits, jnp.bfloat16)
  assert losses.cross_entropy(half, label).dtype == jnp.float32
  with jax.enable_x64(True):
    wide = jnp.asarray(logits, jnp.float64)
    assert losses.cross_entropy(wide, label).dtype == jnp.float64


def test_wrong_calls_say_what_is_wrong():
  logits, label = _example()
  with pytest.raises(ValueError, match="average.*'mean'"):
    losses.cross_entropy(logits, label, average='mean')
  with pytest.raises(ValueError, match=r'expected the shape .2, 4, 6.'):
    losses.cross_entropy(logits, label[:, :1])


def test_focal_term_of_pixels_and_of_the_mean():
  logits, label = _example()
  label[0, :2] = IGNORE
  each = np.asarray(segmentation.pixel_cross_entropy(logits, label))
  np.testing.assert_array_equal(each[label == IGNORE], 0)
  valid = each[label != IGNORE]
  for of, loss in (('pixel', valid), ('mean', valid.mean())):
    focal = losses.focal_term(logits, label, gamma=3.0, of=of)
    expected = np.mean(loss * (1 - np.exp(-loss)) ** 3)
    np.testing.assert_allclose(focal, expected, rtol=1e-5)
  np.testing.assert_allclose(
    losses.focal_term(logits, label, gamma=0.0), valid.mean(), rtol=1e-6
  )
  with pytest.raises(ValueError, match="of: expected 'pixel' or 'mean'"):
    losses.focal_term(logits, label, gamma=3.0, of='image')


@pytest.mark.parametrize('gamma', [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize('of', ['pixel', 'mean'])
def test_focal_term_is_finite_at_both_ends(of, gamma):
  logits, label = _example()
  gradient = jax.jit(
    jax.value_and_grad(lambda x, y: losses.focal_term(x, y, gamma=gamma, of=of))
  )
  loss, slope = gradient(logits, np.full_like(label, IGNORE))
  assert loss == 0
  np.testing.assert_array_equal(slope, 0)
  # Certain of the right class: the loss is exactly 0.
  sure = 1e4 * np.eye(3, dtype=np.float32)
  for logits in (sure[label], -sure[label]):
    loss, slope = gradient(logits, label)
    assert np.isfinite(loss) and np.isfinite(slope).all()


def test_class_weights_may_be_an_array():
  logits, label = _example()
  expected = losses.cross_entropy(logits, label, class_weights=(1, 2, 3))
  for weights in (np.array([1.0, 2, 3]), jnp.array([1.0, 2, 3])):
    found = losses.cross_entropy(logits, label, class_weights=weights)
    np.testing.assert_allclose(found, expected)


def test_a_weight_of_another_shape_is_refused():
  logits, label = _example(shape=(1, 4, 4))
  # Broadcast, it would weigh each row by every column.
  with pytest.raises(ValueError, match=r'weight: expected the shape \(1, 4, 4'):
    losses.cross_entropy(logits, label, weight=np.ones((1, 4, 4, 1)))


@pytest.mark.parametrize('average', ['all', 'valid'])
def test_no_pixels_cost_nothing(average):
  logits, label = _example(shape=(0, 4, 4))
  assert losses.cross_entropy(logits, label, average=average) == 0
