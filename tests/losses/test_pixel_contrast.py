"""Contrast of pixels: analytic values, what is drawn, degenerate labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.losses import pixel_contrast

_contrast = jax.jit(
  pixel_contrast.supervised_contrastive,
  static_argnames=('temperature', 'base_temperature'),
)
_draw = jax.jit(
  pixel_contrast.draw_pixels,
  static_argnames=('num_classes', 'max_views', 'max_samples', 'include_ignore'),
)
IGNORE = labels.IGNORE_LABEL


def _unit(key, shape):
  x = jax.random.normal(key, shape)
  return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def test_two_orthogonal_classes():
  vectors = jnp.eye(3)[jnp.array([0, 0, 2, 2])]
  loss = _contrast(
    vectors, jnp.array([0, 0, 1, 1]), temperature=0.5, base_temperature=0.25
  )
  # Negatives lie 2 below the positive: two of them.
  np.testing.assert_allclose(loss, 2 * np.log1p(2 * np.exp(-2)), rtol=1e-6)


def test_filling_does_not_count():
  vectors = _unit(jax.random.key(0), (9, 5))
  label = jnp.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
  valid = jnp.arange(9) < 6
  loss, gradient = jax.jit(
    jax.value_and_grad(pixel_contrast.supervised_contrastive)
  )(vectors, label, valid_mask=valid)
  np.testing.assert_allclose(loss, _contrast(vectors[:6], label[:6]), rtol=1e-6)
  assert not np.any(gradient[6:]) and np.all(np.any(gradient[:6], 1))


def _maps():
  """Class 0 left, 1 right, 2 in two pixels; class 0 wrong in one column."""
  label = np.zeros((1, 6, 8), np.int32)
  label[:, :, 4:] = 1
  label[0, 0, :2] = 2
  predicted = label.copy()
  predicted[:, 1:, 0] = 1
  return jnp.asarray(label), jnp.asarray(predicted)


def test_every_hard_pixel_is_drawn_equally_often():
  label, predicted = _maps()
  draw = lambda key: pixel_contrast.draw_pixels(
    key, label, predicted, num_classes=3, max_views=6, max_samples=20
  )
  samples = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 2000))
  # Two rows of 6: class 2 is too rare. The rest is filling.
  assert np.all(samples.valid_mask == (np.arange(20) < 12))
  np.testing.assert_array_equal(samples.label[0, :12], [0] * 6 + [1] * 6)
  often = np.bincount(np.ravel(samples.indices[:, :6]), minlength=48)
  hard = np.ravel((label != predicted) & (label == 0))
  easy = np.ravel((label == predicted) & (label == 0))
  # 3 of 5 hard ones, 3 of 17 easy ones; about 4 standard deviations.
  np.testing.assert_allclose(often[hard] / 2000, 3 / 5, atol=0.045)
  np.testing.assert_allclose(often[easy] / 2000, 3 / 17, atol=0.035)
  assert not often[~hard & ~easy].any()


@pytest.mark.parametrize('fill', [0, IGNORE])
def test_one_class_or_none_is_0_with_gradient_0(fill):
  label = jnp.full((2, 4, 4), fill)
  embedding = _unit(jax.random.key(1), (2, 4, 4, 3))
  sample = _draw(
    jax.random.key(2),
    label,
    jnp.zeros_like(label),
    num_classes=3,
    max_views=4,
    max_samples=16,
  )
  assert sample.valid_mask.sum() == (8 if fill == 0 else 0)
  loss, gradient = jax.jit(
    jax.value_and_grad(pixel_contrast.sampled_pixel_contrast)
  )(embedding, sample)
  assert loss == 0 and not np.any(gradient)


def test_no_class_has_enough_pixels():
  label = jnp.arange(16).reshape(1, 4, 4)
  sample = _draw(
    jax.random.key(0), label, label, num_classes=16, max_views=4, max_samples=16
  )
  assert not sample.valid_mask.any()
  assert len(np.unique(sample.indices)) == 16 and np.all(sample.indices >= 16)


def test_ignored_pixels_are_a_class_if_asked_for():
  label = jnp.where(jnp.arange(32).reshape(1, 4, 8) < 16, 1, IGNORE)
  sample = _draw(
    jax.random.key(0),
    label,
    label,
    num_classes=2,
    max_views=3,
    max_samples=6,
    include_ignore=True,
  )
  np.testing.assert_array_equal(sample.label, [1] * 3 + [IGNORE] * 3)


def test_negatives_far_below_a_positive_still_count():
  """At a low temperature the exponentials span more than float32 holds."""
  random = np.random.default_rng(0)
  vectors = random.normal(size=(12, 4))
  vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
  label, temperature = np.arange(12) % 3, 0.002
  similarity = vectors @ vectors.T / temperature
  expected = []
  for i in range(12):
    negative = similarity[i, label != label[i]]
    log_negative = negative.max() + np.log(
      np.exp(negative - negative.max()).sum()
    )
    same = [j for j in range(12) if j != i and label[j] == label[i]]
    positive = similarity[i, same]
    expected.append(np.mean(np.logaddexp(log_negative, positive) - positive))
  loss, gradient = jax.value_and_grad(pixel_contrast.supervised_contrastive)(
    jnp.asarray(vectors, jnp.float32),
    jnp.asarray(label),
    temperature=temperature,
    base_temperature=temperature,
  )
  np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-5)
  assert np.isfinite(gradient).all() and np.abs(gradient).sum(1).min() > 0


def test_half_precision_vectors_are_contrasted_in_float32():
  vectors = jnp.array([[1, 0], [0.5, 0.5], [0, 1], [0.25, 1]], jnp.float16)
  label = jnp.array([0, 0, 1, 1])
  contrast = pixel_contrast.supervised_contrastive
  loss = contrast(vectors, label)
  assert loss.dtype == jnp.float32
  np.testing.assert_array_equal(
    loss, contrast(vectors.astype(jnp.float32), label)
  )
