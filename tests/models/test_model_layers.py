"""Layers against XLA's own operations and PyTorch's rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.models import depthwise
from uda_jax.models import layers
from uda_jax.models import pooling


def _random(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
  ('size', 'kernel', 'stride', 'expected'),
  [
    # The weights of EfficientNet-Lite want the odd row at the end.
    (8, 3, 2, (0, 1)),
    (8, 5, 2, (1, 2)),
    (7, 3, 2, (1, 1)),
    (7, 5, 2, (2, 2)),
    (8, 3, 1, (1, 1)),
    (8, 5, 1, (2, 2)),
    (1, 3, 2, (1, 1)),
    (3, 1, 2, (0, 0)),
  ],
)
def test_same_padding(size, kernel, stride, expected):
  assert layers.same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize(
  ('kernel', 'stride', 'dilation', 'same'),
  [
    (1, 1, 1, False),
    (1, 2, 1, False),
    (3, 1, 1, False),
    (3, 2, 1, True),
    (3, 1, 4, False),
    (7, 2, 1, False),
  ],
)
def test_conv(kernel, stride, dilation, same):
  x = _random(0, 2, 7, 10, 3)
  module = layers.Conv(
    4, kernel, stride, dilation, same, use_bias=True, dtype=jnp.float64
  )
  weight, bias = _random(1, kernel, kernel, 3, 4), _random(2, 4)
  pad = dilation * (kernel // 2)
  with jax.enable_x64(True):
    ours = jax.jit(module.apply)(
      {'params': {'kernel': weight, 'bias': bias}}, x
    )
    golden = bias + jax.lax.conv_general_dilated(
      x,
      weight,
      (stride, stride),
      'SAME' if same else [(pad, pad)] * 2,
      rhs_dilation=(dilation, dilation),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
  assert ours.dtype == np.float64
  np.testing.assert_allclose(ours, golden, atol=1e-12)


@pytest.mark.parametrize(
  ('size', 'stride', 'dilation', 'padding', 'image'),
  [
    (3, 1, 1, ((1, 1), (1, 1)), (7, 9)),
    (5, 2, 1, ((1, 2), (2, 2)), (8, 9)),
    (3, 2, 2, ((2, 2), (1, 3)), (9, 10)),
    (3, 1, 3, ((3, 3), (3, 3)), (8, 6)),
    (3, 3, 1, ((0, 0), (0, 1)), (5, 8)),
  ],
)
def test_depthwise_forms_are_equal(size, stride, dilation, padding, image):
  x, weight = _random(0, 2, *image, 5), _random(1, size, size, 1, 5)

  def run(form):
    def f(x, weight):
      return depthwise.convolve(
        x, weight, stride=stride, dilation=dilation, padding=padding, form=form
      )

    out, pull = jax.vjp(f, x, weight)
    return out, pull(jnp.asarray(_random(2, *out.shape)))

  with jax.enable_x64(True):
    ours, golden = jax.jit(lambda: (run('shifted'), run('conv')))()
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), ours, golden
  )


def test_depthwise_gradient_under_vmap():
  """Groups are mapped inside a device."""
  x, weight = _random(0, 3, 2, 6, 5, 4), _random(1, 3, 3, 1, 4)

  def gradient(x):
    def loss(weight):
      out = depthwise.convolve(
        x,
        weight,
        stride=1,
        dilation=1,
        padding=((1, 1), (1, 1)),
        form='shifted',
      )
      return jnp.sum(out**3)

    return jax.grad(loss)(weight)

  with jax.enable_x64(True):
    mapped = jax.jit(jax.vmap(gradient))(x)
    single = jax.jit(gradient)
    golden = np.stack([single(group) for group in x])
  np.testing.assert_allclose(mapped, golden, rtol=1e-10)


def test_a_program_for_all_platforms_chooses_the_form_by_platform():
  assert depthwise.default_form() == 'shifted'  # on a CPU
  f = lambda x, weight: depthwise.convolve(
    x,
    weight,
    stride=1,
    dilation=1,
    padding=((1, 1), (1, 1)),
    form=depthwise.default_form(),
  )
  x, weight = _random(0, 2, 5, 6, 3), _random(1, 3, 3, 1, 3)
  text = {}
  for platforms in (('cpu',), ('cuda',)):
    with depthwise.traced_as('by_platform'):
      lowered = (
        jax.jit(lambda *args: f(*args))
        .trace(x, weight)
        .lower(lowering_platforms=platforms)
      )
    text[platforms[0]] = lowered.as_text()
  assert 'convolution' in text['cuda'] and 'convolution' not in text['cpu']
  assert depthwise.default_form() == 'shifted'


def test_depthwise_names_an_unknown_form():
  with pytest.raises(ValueError, match="or 'by_platform', got 'fast'"):
    depthwise.convolve(
      jnp.zeros((1, 3, 3, 1)),
      jnp.zeros((3, 3, 1, 1)),
      stride=1,
      dilation=1,
      padding=((1, 1), (1, 1)),
      form='fast',
    )


@pytest.mark.parametrize(
  ('size', 'expected'),
  [(320, 161), (360, 181), (256, 129), (33, 17), (2, 2), (1, 1)],
)
def test_max_pool_rounds_up(size, expected):
  """Even sizes give one pixel more than PyTorch's default (Caffe's pooling)."""
  pool = lambda x: pooling.max_pool(x, size=3, stride=2, padding=1, ceil=True)
  shape = jax.eval_shape(pool, jnp.zeros((1, size, 1, 1))).shape
  assert shape == (1, expected, 1, 1)


@pytest.mark.parametrize('ceil', [False, True])
def test_max_pool(ceil):
  x = _random(0, 2, 8, 7, 3)
  pool = jax.jit(
    lambda x: pooling.max_pool(x, size=3, stride=2, padding=1, ceil=ceil)
  )
  after = 2 if ceil else 1
  golden = jax.lax.reduce_window(
    x.astype(np.float32),
    -np.inf,
    jax.lax.max,
    (1, 3, 3, 1),
    (1, 2, 2, 1),
    ((0, 0), (1, after), (1, 1), (0, 0)),
  )
  np.testing.assert_array_equal(pool(x.astype(np.float32)), golden)


def test_max_pool_gives_the_first_of_equal_pixels_the_gradient():
  x = np.zeros((1, 2, 2, 1), np.float32)
  pool = lambda x: pooling.max_pool(x, size=2, stride=2, padding=0).sum()
  np.testing.assert_array_equal(jax.grad(pool)(x)[0, :, :, 0], [[1, 0], [0, 0]])


def test_max_pool_passes_nan_on():
  x = np.array([1.0, np.nan, 2.0, 0.0], np.float32).reshape(1, 2, 2, 1)
  assert np.isnan(pooling.max_pool(x, size=2, stride=2, padding=0)).all()


def _norm(x, dtype=jnp.float32, **switches):
  module = layers.BatchNorm(0.25, 1e-3, dtype)
  store = layers.storage_dtype(dtype)
  width = x.shape[-1]
  variables = {
    'params': {
      'scale': jnp.full(width, 2.0, store),
      'bias': jnp.full(width, 0.5, store),
    },
    'batch_stats': {
      'mean': jnp.ones(width, store),
      'var': jnp.full(width, 4.0, store),
    },
  }
  return jax.jit(
    lambda x: module.apply(variables, x, mutable=['batch_stats'], **switches)
  )(x)


def test_batch_norm_formula():
  # A large mean beside a small variance, as of unstandardised images.
  x = 1000 + _random(0, 2, 3, 5, 4)
  with jax.enable_x64(True):
    out, updated = _norm(x, jnp.float64, use_running_average=False)
  mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
  np.testing.assert_allclose(
    out, (x - mean) / np.sqrt(var + 1e-3) * 2 + 0.5, rtol=1e-9
  )
  stats = updated['batch_stats']
  np.testing.assert_allclose(stats['mean'], 0.75 + 0.25 * mean, rtol=1e-12)
  np.testing.assert_allclose(
    stats['var'], 0.75 * 4 + 0.25 * var * 30 / 29, rtol=1e-12
  )


def test_batch_norm_with_running_statistics():
  x = _random(0, 2, 3, 5, 4).astype(np.float32)
  out, updated = _norm(x, use_running_average=True)
  np.testing.assert_allclose(
    out, (x - 1) / np.sqrt(4 + 1e-3) * 2 + 0.5, rtol=1e-5
  )
  np.testing.assert_array_equal(updated['batch_stats']['mean'], 1)
  np.testing.assert_array_equal(updated['batch_stats']['var'], 4)


def test_batch_norm_of_one_value_is_finite():
  out, updated = _norm(
    np.full((1, 1, 1, 3), 7.0, np.float32), use_running_average=False
  )
  np.testing.assert_allclose(out, 0.5)
  assert np.isfinite(jax.tree.leaves(updated)).all()


def test_batch_norm_keeps_its_statistics_in_float32():
  x = jnp.asarray(_random(0, 2, 8, 8, 4), jnp.bfloat16)
  out, updated = _norm(x, jnp.bfloat16, use_running_average=False)
  assert out.dtype == jnp.bfloat16
  assert {leaf.dtype for leaf in jax.tree.leaves(updated)} == {
    np.dtype(np.float32)
  }


def test_no_gradient_goes_through_running_statistics():
  def total(x):
    _, updated = _norm(x, use_running_average=False)
    return sum(map(jnp.sum, jax.tree.leaves(updated)))

  gradient = jax.grad(total)(_random(0, 1, 2, 2, 3).astype(np.float32))
  np.testing.assert_array_equal(gradient, 0)
