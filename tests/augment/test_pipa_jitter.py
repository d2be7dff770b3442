"""Colors of views: each operator against its definition."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.augment import pipa_jitter

OFF = [False, False, False]


def _apply(pixels, on, factor=(1, 1, 1, 0), order=(0, 1, 2, 3)):
  draw = pipa_jitter.ViewJitter(
    jnp.array([factor], float), jnp.array([order]), jnp.array([on])
  )
  return pipa_jitter.apply_view_jitter(pixels, draw)[0]


def _pixels():
  return np.random.default_rng(0).integers(0, 256, (1, 5, 6, 3), np.uint8)


def test_nothing_changes_when_all_is_off():
  pixels = _pixels()
  np.testing.assert_allclose(
    _apply(pixels, OFF, (2, 2, 2, 0.4)), pixels[0], atol=1e-4
  )


def test_grey_is_luma():
  pixels = _pixels()
  luma = (pixels[0] @ [0.299, 0.587, 0.114])[..., None]
  np.testing.assert_allclose(
    _apply(pixels, [False, False, True]), luma.repeat(3, -1), atol=1e-3
  )


def test_blur_keeps_the_sum_of_a_point_and_has_opencvs_kernel():
  pixels = np.zeros((1, 9, 9, 3), np.uint8)
  pixels[0, 4, 4] = 200
  blurred = _apply(pixels, [True, False, False])
  np.testing.assert_allclose(blurred.sum((0, 1)), 200, rtol=1e-5)
  taps = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 1.1**2))
  np.testing.assert_allclose(
    blurred[4, 2:7, 0] / blurred[4, 4, 0], taps / taps[2], rtol=1e-5
  )


def test_jitter_of_one_colour():
  pixels = np.full((1, 3, 3, 3), (100, 60, 20), np.uint8)
  factor = (1.2, 0.7, 0.5, 0.08)
  # One colour: contrast blends with the luma, as saturation does.
  x = 1.2 * pixels[0, 0, 0] / 255
  for share in (0.7, 0.5):
    x = share * x + (1 - share) * (x @ [0.299, 0.587, 0.114])
  h, s, v = colorsys.rgb_to_hsv(*x)
  expected = 255 * np.array(colorsys.hsv_to_rgb((h + 0.08) % 1, s, v))
  ours = _apply(pixels, [False, True, False], factor)
  np.testing.assert_allclose(
    ours, np.broadcast_to(expected, (3, 3, 3)), atol=0.01
  )


def test_the_jitter_follows_the_order_of_its_draw():
  pixels = np.full((1, 3, 3, 3), (200, 60, 20), np.uint8)
  factor = (1.4, 1, 0.6, 0)
  luma = np.array([0.2989, 0.587, 0.114])

  def brighter(x):
    return np.minimum(1.4 * x, 1)  # clips red: the order matters

  def paler(x):
    return 0.6 * x + 0.4 * (x @ luma)

  x = pixels[0, 0, 0] / 255
  for order, expected in (
    ((0, 1, 2, 3), paler(brighter(x))),
    ((3, 2, 1, 0), brighter(paler(x))),
  ):
    ours = _apply(pixels, [False, True, False], factor, order)
    np.testing.assert_allclose(ours[1, 1], 255 * expected, atol=0.05)


def test_each_image_draws_an_order_of_its_own():
  draw = pipa_jitter.draw_view_jitter(jax.random.key(0), batch=400)
  orders = {tuple(row) for row in np.asarray(draw.order)}
  assert len(orders) == 24
  assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_draws_lie_in_their_ranges_and_are_on_as_often():
  draw = pipa_jitter.draw_view_jitter(jax.random.key(0), batch=4000)
  distance = np.abs(draw.factor - np.array([1, 1, 1, 0]))
  np.testing.assert_allclose(distance.max(0), [0.4, 0.4, 0.4, 0.1], rtol=0.01)
  np.testing.assert_allclose(draw.on.mean(0), [0.5, 0.8, 0.2], atol=0.03)
