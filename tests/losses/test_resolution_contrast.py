"""CLUDA's contrast: analytic values, blocks, ignored and degenerate labels."""

import functools

import jax
from jax.extend import core as extend_core
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.losses import resolution_contrast as contrast_lib

SHAPE = (2, 3, 4)


def _inputs(seed=0):
  random = np.random.default_rng(seed)
  feature, detail = random.normal(size=(2, *SHAPE, 5)).astype('f')
  inside = np.zeros(SHAPE, bool)
  inside[:, 1:, 1:3] = True
  return dict(
    feature=feature,
    detail=detail * inside[..., None],
    label=random.integers(0, 3, SHAPE, dtype=np.int32),
    inside=inside,
    weight=random.uniform(size=SHAPE).astype('f'),
    confidence=random.uniform(size=SHAPE).astype('f'),
  )


def _dense(feature, detail, label, inside, weight, confidence):
  """The formula of the specification on whole maps of pairs."""
  unit = lambda x: (
    x
    / jnp.maximum(jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-30), 1e-12)
  )
  f, d = (unit(x).reshape(-1, x.shape[-1]) for x in (feature, detail))
  y, m, w, p = (x.ravel() for x in (label, inside, weight, confidence))
  same = y[:, None] == y
  positive = same & ~np.eye(y.size, dtype=bool)

  def lp(columns):
    s = f @ columns.T
    negatives = jnp.where(same, 0, jnp.exp(s)).sum(1, keepdims=True)
    return s - jnp.log(jnp.exp(s) + negatives)

  share = w[:, None] * w * m[:, None]
  pair = share * lp(f) + (1 - share) * lp(d)
  rows = (pair * positive * p[:, None] * p).sum(1)
  return -0.5 * jnp.mean(rows / jnp.maximum(1, positive.sum(1)))


def _loss(feature, detail, label, inside, weight, confidence=None, **options):
  return contrast_lib.multi_resolution_contrast(
    feature, detail, label, inside, weight, confidence=confidence, **options
  )


@pytest.mark.parametrize('block_size', [5, 8, 1000])
def test_blocks_of_rows_equal_whole_maps(block_size):
  inputs = _inputs()
  names = ('feature', 'weight', 'confidence')
  gradient = lambda f: jax.jit(
    jax.value_and_grad(lambda learned: f(**inputs | learned))
  )({name: inputs[name] for name in names})
  dense, dense_grads = gradient(_dense)
  value, grads = gradient(functools.partial(_loss, block_size=block_size))
  np.testing.assert_allclose(value, dense, rtol=1e-5)
  for name in names:
    np.testing.assert_allclose(grads[name], dense_grads[name], atol=1e-6)


def test_no_map_of_all_pairs_is_kept():
  """Neither forward nor backward holds an array of N x N."""
  size = (1, 16, 16)
  feature = jnp.zeros((*size, 4))
  label = jnp.zeros(size, jnp.int32)
  gradient = jax.grad(
    lambda x: contrast_lib.single_resolution_contrast(x, label, block_size=32)
  )
  shapes = set()

  def walk(jaxpr):
    for equation in jaxpr.eqns:
      shapes.update(v.aval.shape for v in equation.outvars)
      for inner in extend_core.jaxprs_in_params(equation.params):
        walk(inner)

  walk(jax.make_jaxpr(gradient)(feature).jaxpr)
  assert (32, 256) in shapes
  assert max(np.prod(shape) for shape in shapes) <= 32 * 256


def test_two_pixels_of_two_classes_each():
  """Orthogonal pairs: every positive has similarity 1, negatives 0."""
  feature = np.array([[[[1, 0], [2, 0], [0, 3], [0, 4]]]], np.float32)
  label = np.array([[[0, 0, 1, 1]]], np.int32)
  value = contrast_lib.single_resolution_contrast(feature, label)
  np.testing.assert_allclose(value, np.log1p(2 / np.e), rtol=1e-6)


@pytest.mark.parametrize(
  'case',
  [
    'one class',
    'all ignored',
    'every class once',
    'nothing confident',
    'empty crop',
  ],
)
def test_degenerate_input_is_finite(case):
  inputs = _inputs()
  options = {}
  if case == 'one class':
    inputs['label'] = np.full(SHAPE, 2, np.int32)
  elif case == 'all ignored':
    inputs['label'] = np.full(SHAPE, 255, np.int32)
    options['ignore_label'] = 255
  elif case == 'every class once':
    inputs['label'] = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE)
  elif case == 'nothing confident':
    inputs['confidence'] = np.zeros(SHAPE, np.float32)
  else:
    inputs |= {
      'detail': np.zeros_like(inputs['detail']),
      'inside': np.zeros(SHAPE, bool),
    }
  value, grads = jax.jit(
    jax.value_and_grad(lambda learned: _loss(**inputs | learned, **options))
  )({name: inputs[name] for name in ('feature', 'detail', 'weight')})
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  if case == 'empty crop':
    assert value > 0
    assert not grads['detail'].any()
  else:
    # Without negatives, positives or confidence there is nothing to learn.
    assert value == 0
    assert not any(g.any() for g in jax.tree.leaves(grads))


def test_ignored_pixels_take_no_part():
  inputs = _inputs()
  del inputs['confidence']
  inputs['label'][:, 0] = 255
  whole = _loss(**inputs, ignore_label=255)
  rest = _loss(**{k: v[:, 1:] for k, v in inputs.items()})
  # The mean runs over ignored anchors too.
  np.testing.assert_allclose(whole, rest * 2 / 3, rtol=1e-5)
  assert abs(_loss(**inputs) - whole) > 1e-3


def test_a_pixel_of_confidence_0_repels_as_in_the_released_code():
  feature = np.array([[[[1, 0], [1, 0], [1, 0], [0, 1]]]], np.float32)
  label = np.array([[[0, 0, 0, 1]]], np.int32)
  confidence = np.array([[[1, 1, 0, 0]]], np.float32)
  value = contrast_lib.single_resolution_contrast(
    feature, label, confidence=confidence
  )
  # Two of four anchors, each with one of its two positives: similarity 1
  # against the negative's 0.
  np.testing.assert_allclose(value, np.log1p(1 / np.e) / 4, rtol=1e-6)
  label[..., 3] = 255
  value = contrast_lib.single_resolution_contrast(
    feature, label, confidence=confidence, ignore_label=255
  )
  assert value == 0


@pytest.mark.parametrize('pixel', range(4))
def test_an_infinite_feature_shows_unless_its_pixel_is_ignored(pixel):
  feature = np.eye(4, dtype=np.float32)[None, None]
  feature[0, 0, pixel, 1] = np.inf
  label = np.array([[[0, 0, 1, 1]]], np.int32)
  loss = functools.partial(
    contrast_lib.single_resolution_contrast,
    feature,
    confidence=np.zeros(label.shape, np.float32),
    ignore_label=255,
  )
  assert np.isnan(loss(label))
  label[..., pixel] = 255
  assert loss(label) == 0


def test_released_order_mixes_up_the_images_of_a_batch():
  inputs = _inputs()
  aligned, released = (
    _loss(**inputs, order=order) for order in contrast_lib.ORDERS
  )
  assert abs(aligned - released) > 1e-4
  one = {k: v[:1] for k, v in inputs.items()}
  np.testing.assert_array_equal(
    *(_loss(**one, order=order) for order in contrast_lib.ORDERS)
  )


def test_half_precision_features_are_widened():
  inputs = _inputs()
  narrow = inputs | {'feature': jnp.asarray(inputs['feature'], jnp.bfloat16)}
  value = _loss(**narrow)
  assert value.dtype == jnp.float32
  np.testing.assert_allclose(value, _loss(**inputs), rtol=1e-2)


def test_unknown_order_is_named():
  with pytest.raises(ValueError, match="order: .*got 'upside'"):
    _loss(**_inputs(), order='upside')
