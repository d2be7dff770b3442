"""Color jitter, blur, and their draws."""

import colorsys
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.augment import dacs_jitter
from uda_jax.augment import filters
from uda_jax.augment import hsv as hsv_lib

NONE = (1.0, 1.0, 1.0, 0.0)


def _image(batch=1, height=5, width=7, seed=0):
  return (
    np.random.default_rng(seed)
    .random((batch, height, width, 3))
    .astype(np.float32)
  )


def _draw(factors, order, batch=1):
  return dacs_jitter.ColorJitter(
    *(jnp.full(batch, f) for f in factors),
    jnp.tile(jnp.asarray(order), (batch, 1)),
  )


def test_hsv_agrees_with_the_standard_library():
  rgb = np.concatenate(
    [
      _image().reshape(-1, 3),
      [
        [0, 0, 0],
        [1, 1, 1],
        [0.5, 0.5, 0.5],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1, 1, 0],
        [0, 1, 1],
        [1, 0, 1],
      ],
    ]
  ).astype(np.float32)
  hsv = np.asarray(hsv_lib.rgb_to_hsv(rgb))
  expected = np.array([colorsys.rgb_to_hsv(*map(float, x)) for x in rgb])
  np.testing.assert_allclose(
    hsv[:, 0] / hsv_lib.TURN, expected[:, 0], atol=1e-5
  )
  np.testing.assert_allclose(hsv[:, 1:], expected[:, 1:], atol=1e-4)
  np.testing.assert_allclose(hsv_lib.hsv_to_rgb(hsv), rgb, atol=1e-4)


def _one_by_one(image, factors, order):
  """The four operations as the paper's code lists them."""
  brightness, contrast, saturation, hue = factors
  for operation in order:
    if operation == 0:
      image = np.clip(image + (brightness - 1), 0, 1)
    elif operation == 1:
      image = np.clip(contrast * image, 0, 1)
    else:
      h, s, v = np.moveaxis(np.array(hsv_lib.rgb_to_hsv(image)), -1, 0)
      if operation == 2:
        s = np.clip(saturation * s, 0, 1)
      else:
        h = np.fmod(h + hue * hsv_lib.TURN, hsv_lib.TURN)
      image = np.asarray(hsv_lib.hsv_to_rgb(np.stack([h, s, v], -1)))
  return image


def test_every_order_is_that_order():
  image = _image()[0]
  factors = (1.15, 0.85, 1.2, -0.15)
  orders = list(itertools.permutations(range(4)))
  jitter = jax.jit(dacs_jitter.color_jitter)
  ours = jitter(
    np.tile(image, (24, 1, 1, 1)),
    dacs_jitter.ColorJitter(
      *(jnp.full(24, f) for f in factors), jnp.asarray(orders)
    ),
  )
  for order, result in zip(orders, ours):
    np.testing.assert_allclose(
      result, _one_by_one(image, factors, order), atol=1e-5, err_msg=str(order)
    )


def test_neutral_factors_change_nothing_and_black_stays_finite():
  image = _image(2)
  image[0, 0] = 0
  image[0, 1] = 1
  ours = dacs_jitter.color_jitter(image, _draw(NONE, [3, 1, 2, 0], 2))
  np.testing.assert_allclose(ours, image, atol=5e-6)


def test_a_draw_is_in_range_and_reproducible():
  draw = dacs_jitter.draw_color_jitter(jax.random.key(0), batch=64)
  for factor in draw[:3]:
    assert 0.8 <= factor.min() < 0.9 and 1.1 < factor.max() <= 1.2
  assert -0.2 <= draw.hue.min() < -0.1 and 0.1 < draw.hue.max() <= 0.2
  np.testing.assert_array_equal(
    np.sort(draw.order, -1), np.tile(np.arange(4), (64, 1))
  )
  assert len({tuple(map(int, order)) for order in draw.order}) > 12
  again = dacs_jitter.draw_color_jitter(jax.random.key(0), batch=64)
  jax.tree.map(np.testing.assert_array_equal, draw, again)
  sigma = dacs_jitter.draw_blur(jax.random.key(1), batch=64)
  assert 0.15 <= sigma.min() < 0.3 and 1.0 < sigma.max() < 1.15


def test_blur_keeps_constants_and_spreads_a_point():
  sigma = jnp.array([0.5, 1.1])
  flat = dacs_jitter.gaussian_blur(jnp.full((2, 40, 50, 3), 0.7), sigma)
  np.testing.assert_allclose(flat, 0.7, rtol=1e-6)
  point = jnp.zeros((2, 70, 70, 1)).at[:, 35, 35].set(1)
  blurred = dacs_jitter.gaussian_blur(point, sigma)[..., 0]
  np.testing.assert_allclose(blurred.sum((1, 2)), 1, rtol=1e-6)
  np.testing.assert_allclose(
    blurred[:, 36, 35] / blurred[:, 35, 35],
    np.exp(-1 / (2 * np.square(sigma))),
    rtol=1e-5,
  )


def test_the_cut_kernel_is_the_whole_one_in_float32():
  x = np.arange(-25, 26)
  whole = np.exp(-(x**2) / (2 * 1.15**2))
  cut = filters.gaussian_kernel(1.15, size=2 * dacs_jitter.MAX_RADIUS + 1)
  np.testing.assert_allclose(cut, whole[17:34] / whole.sum(), atol=1e-7)


def test_images_smaller_than_a_kernel():
  for side in (1, 2, 9, 11):
    assert dacs_jitter.blur_size(side) == 1
    image = _image(1, side, side)
    np.testing.assert_allclose(
      dacs_jitter.gaussian_blur(image, jnp.ones(1)), image, rtol=1e-6
    )


def test_strong_augment_takes_both_dtypes_and_all_four_gates():
  pixels = np.round(_image(2, 31, 33) * 255).astype(np.uint8)
  augment = jax.jit(dacs_jitter.strong_augment)
  different = set()
  for seed in range(12):
    key = jax.random.key(seed)
    ours = np.asarray(augment(key, pixels))
    assert ours.dtype == np.float32 and ours.shape == pixels.shape
    assert ours.min() >= -1e-3 and ours.max() <= 255.001
    np.testing.assert_array_equal(ours, augment(key, pixels))
    np.testing.assert_array_equal(ours, augment(key, pixels.astype(np.float32)))
    different.add(float(np.abs(ours - pixels).max().round(3)))
  assert 0.0 in different and len(different) > 6


@pytest.mark.parametrize(
  ('gate', 'share'),
  [(dacs_jitter.jitter_is_on, 0.8), (dacs_jitter.blur_is_on, 0.5)],
)
def test_gates(gate, share):
  assert np.mean(gate(np.linspace(0, 1, 1000))) == pytest.approx(
    share, abs=0.01
  )
