"""Every loss: ignored pixels may hold anything, and a batch may be empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax import losses
from uda_jax.losses import feature_distance

IGNORE = labels.IGNORE_LABEL


def _feature_distance(x, label):
  label = jnp.repeat(jnp.repeat(label, 2, 1), 2, 2)
  options = dict(num_classes=3, classes=(0, 1, 2), min_fraction=0.1)
  return losses.class_feature_distance(x, 0.5 * x[::-1], label, **options)


def _two_resolutions(x, label):
  detail, inside = 2 + x[..., ::-1], label != 1
  weight = jnp.full(label.shape, 0.3)
  return losses.multi_resolution_contrast(
    x, detail, label, inside, weight, ignore_label=IGNORE
  )


def _sampled(x, label):
  options = dict(num_classes=3, max_views=2, max_samples=5)
  sample = losses.draw_pixels(jax.random.key(0), label, label, **options)
  return losses.sampled_pixel_contrast(x, sample)


def _rows(x, label):
  return x.reshape(-1, x.shape[-1]), (label != IGNORE).ravel()


def _nt_xent(x, label):
  rows, valid_mask = _rows(x, label)
  return losses.nt_xent(
    rows, 2 * rows[:, ::-1], temperature=0.5, valid_mask=valid_mask
  )


def _supervised(x, label):
  rows, valid_mask = _rows(x, label)
  return losses.supervised_contrastive(
    rows, label.ravel(), valid_mask=valid_mask
  )


# Losses that leave ignored pixels out.
IGNORING = {
  'cross_entropy': losses.cross_entropy,
  'focal_term': lambda x, label: losses.focal_term(x, label, gamma=3.0),
  'view_class_contrast': lambda x, label: losses.view_class_contrast(
    x, 2 * x[..., ::-1], label
  ),
  'nt_xent': _nt_xent,
  'single_resolution_contrast': lambda x, label: (
    losses.single_resolution_contrast(x, label, ignore_label=IGNORE)
  ),
  'multi_resolution_contrast': _two_resolutions,
  'class_feature_distance': _feature_distance,
  'supervised_contrastive': _supervised,
  'sampled_pixel_contrast': _sampled,
}
LOSSES = {
  **IGNORING,
  'resized_cross_entropy': losses.resized_cross_entropy,
  'view_pixel_contrast': lambda x, _: losses.view_pixel_contrast(x, x),
  'smooth_cosine_distance': lambda x, _: (
    feature_distance.smooth_cosine_distance(x, x)
  ),
}


@pytest.mark.parametrize('name', IGNORING)
def test_what_is_in_ignored_pixels_changes_nothing(name):
  random = np.random.default_rng(0)
  x = random.normal(size=(2, 2, 6, 3)).astype(np.float32)
  # The same ones in both images, as some losses here compare the images.
  ignored = [IGNORE] * 6
  label = np.array(
    [[ignored, [0, 0, 0, 1, 1, 2]], [ignored, [1, 1, 1, 0, 0, 2]]]
  )
  step = jax.jit(jax.value_and_grad(IGNORING[name]))
  value, gradient = step(x, jnp.asarray(label))
  assert value > 0
  assert not np.any(gradient[:, 0])
  assert np.any(gradient[:, 1])
  for bad in (np.inf, -np.inf, np.nan):
    x[:, 0] = bad
    now, now_gradient = step(x, jnp.asarray(label))
    np.testing.assert_array_equal(now, value)
    np.testing.assert_array_equal(now_gradient, gradient)


@pytest.mark.parametrize('name', LOSSES)
def test_an_empty_batch_costs_nothing(name):
  x, label = jnp.zeros((0, 4, 6, 3)), jnp.zeros((0, 4, 6), int)
  value, gradient = jax.value_and_grad(LOSSES[name])(x, label)
  assert value == 0
  assert gradient.shape == x.shape


@pytest.mark.parametrize('name', IGNORING)
def test_a_batch_of_ignored_pixels_costs_nothing(name):
  x = jax.random.normal(jax.random.key(0), (1, 4, 6, 3))
  label = jnp.full(x.shape[:3], IGNORE)
  value, gradient = jax.jit(jax.value_and_grad(IGNORING[name]))(x, label)
  assert value == 0
  np.testing.assert_array_equal(gradient, jnp.zeros_like(x))


@pytest.mark.parametrize('shape', [(0, 2, 4), (1, 0, 4)])
def test_no_pixels_give_a_sample_of_padding(shape):
  label = jnp.zeros(shape, jnp.int32)
  sample = losses.draw_pixels(
    jax.random.key(0), label, label, num_classes=3, max_views=2, max_samples=5
  )
  np.testing.assert_array_equal(sample.indices, np.arange(5))
  assert not np.any(sample.valid_mask)
  vectors = losses.gather_pixels(jnp.zeros((*shape, 7)), sample)
  np.testing.assert_array_equal(vectors, np.zeros((5, 7)))


@pytest.mark.parametrize('by_class', [False, True])
@pytest.mark.parametrize('bad', [np.inf, -np.inf, np.nan])
def test_pixels_of_weight_0_cost_nothing_whatever_their_logits_are(
  by_class, bad
):
  random = np.random.default_rng(0)
  x = random.normal(size=(1, 2, 5, 3)).astype(np.float32)
  label = np.array([[[0] * 5, [1, 1, 2, 2, 1]]])
  weights = np.where(label == 0, 0, np.float32(0.7))
  options = (
    {'class_weights': (0, 0.7, 0.7)} if by_class else {'weight': weights}
  )
  step = jax.value_and_grad(lambda x: losses.cross_entropy(x, label, **options))
  value, gradient = step(x)
  prob = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
  picked = np.take_along_axis(prob, label[..., None], -1)[..., 0]
  np.testing.assert_allclose(
    value, (-np.log(picked) * weights).mean(), rtol=1e-5
  )
  x[:, 0] = bad
  now, now_gradient = step(x)
  np.testing.assert_array_equal(now, value)
  np.testing.assert_array_equal(now_gradient, gradient)
  assert not np.any(gradient[:, 0]) and np.all(gradient[:, 1])
