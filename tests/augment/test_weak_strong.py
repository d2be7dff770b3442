"""Crops, colors in bytes, CutMix and Fourier mixing: their invariants."""

import colorsys
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.augment import cutmix
from uda_jax.augment import fourier
from uda_jax.augment import opencv_color
from uda_jax.augment import random_resized_crop
from uda_jax.augment import weak_strong


def _pixels(*shape):
  return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def test_boxes_lie_inside_and_have_the_size_and_aspect_asked_for():
  size, area, aspect = (40, 80), (0.2, 1.0), (0.75, 4 / 3)
  boxes = np.asarray(
    random_resized_crop.draw_crops(
      jax.random.key(0), size, batch=500, area=area, aspect=aspect
    )
  )
  top, bottom, left, right = boxes.T
  height, width = bottom - top, right - left
  assert boxes.min() >= 0 and height.min() > 0
  assert bottom.max() <= 40 and right.max() <= 80
  # Rounding moves a side by half a pixel.
  assert 0.19 < (height * width).min() / 3200 < 0.22
  ratio = width / height
  assert 0.7 < ratio.min() < 0.78 and 1.3 < ratio.max() < 1.4
  assert len(np.unique(top)) > 5 and len(np.unique(left)) > 10


def test_what_never_fits_is_cut_from_the_center():
  box = random_resized_crop.draw_crops(
    jax.random.key(0), (10, 200), batch=2, area=(0.9, 1.0), aspect=(0.75, 4 / 3)
  )
  left = (200 - 13) // 2
  np.testing.assert_array_equal(box, [[0, 10, left, left + 13]] * 2)
  assert random_resized_crop.fallback_size((200, 10), (0.5, 2.0)) == (20, 10)


def test_a_crop_of_the_whole_image_is_the_image():
  image = _pixels(1, 6, 9)
  box = jnp.array([[0, 6, 0, 9]])
  np.testing.assert_array_equal(
    weak_strong.crop_images(image, box, (6, 9)), image
  )
  label = jnp.arange(54).reshape(1, 6, 9)
  np.testing.assert_array_equal(
    weak_strong.crop_labels(label, box, (6, 9)), label
  )


def test_image_and_label_are_cut_alike():
  label = np.random.default_rng(1).integers(0, 2, (1, 5, 7)).repeat(8, 1)
  label = label.repeat(8, 2)
  image = np.repeat(label[..., None] * 255, 3, -1).astype(np.uint8)
  box = jnp.array([[4, 34, 9, 49]])
  cut = np.asarray(weak_strong.crop_images(image, box, (15, 20)))[..., 0] / 255
  same = np.isin(cut, [0, 1])
  assert same.mean() > 0.8
  np.testing.assert_array_equal(
    cut[same], np.asarray(weak_strong.crop_labels(label, box, (15, 20)))[same]
  )


def test_weights_of_a_crop_are_those_of_opencv():
  """Computed in float64, rounded to float32 and then to 11 bits."""
  image, out = _pixels(1, 64, 1023), 300
  position = (np.arange(out) + 0.5) * (1 / (out / 1023)) - 0.5
  position = position.astype(np.float32)
  low = np.floor(position).astype(int)
  second = np.rint((position - low) * 2048).astype(int)[:, None]
  mixed = image[0][:, low] * (2048 - second) + image[0][:, low + 1] * second
  cut = weak_strong.crop_images(image, jnp.array([[0, 64, 0, 1023]]), (64, out))
  np.testing.assert_array_equal(cut[0], ((mixed >> 9) + 2) >> 2)


def test_hsv_against_colorsys():
  rgb = _pixels(200)
  hsv = np.asarray(opencv_color.rgb_to_hsv(jnp.asarray(rgb, jnp.int32)))
  exact = np.array([colorsys.rgb_to_hsv(*c / 255) for c in rgb.astype(float)])
  distance = np.abs(hsv - exact * [180, 255, 255])
  distance[:, 0] = np.minimum(distance[:, 0], 180 - distance[:, 0])
  assert distance.max() < 0.55
  back = np.asarray(opencv_color.hsv_to_rgb(jnp.asarray(hsv)))
  exact = (
    np.array([colorsys.hsv_to_rgb(*c) for c in hsv / np.array([180, 255, 255])])
    * 255
  )
  # Rounded down.
  assert (exact - back).max() < 1.01 and (exact - back).min() > -0.01


def test_colours_that_do_not_change():
  gray = jnp.full((4, 5, 3), 77)
  np.testing.assert_array_equal(opencv_color.gray(gray), gray)
  for radius in (1, 2):
    np.testing.assert_array_equal(
      opencv_color.binomial_blur(gray, radius=radius), gray
    )
  white = jnp.full((1, 1, 3), 255)
  assert (opencv_color.brightness_contrast(white, 1.2, 0.2) == 255).all()
  assert (opencv_color.brightness_contrast(white, 0.8, -1.0) == 0).all()


def test_each_image_has_its_own_colours():
  image = np.broadcast_to(_pixels(1, 6, 6), (40, 6, 6, 3))
  draw = weak_strong.draw_color(jax.random.key(0), batch=40)
  result = np.asarray(weak_strong.apply_color(image, draw))
  assert result.dtype == np.uint8
  untouched = ~draw.jitter & ~draw.gray & (draw.blur == 0)
  np.testing.assert_array_equal((result == image).all((1, 2, 3)), untouched)
  assert 0.6 < draw.jitter.mean() < 0.95 and draw.gray.mean() < 0.4
  assert set(np.unique(draw.blur)) == {0, 1, 2}


def test_random_blur():
  image = _pixels(8, 64, 64)
  same = weak_strong.random_blur(jax.random.key(0), image, fraction=0.0)
  np.testing.assert_array_equal(same, image)
  half = np.asarray(
    weak_strong.random_blur(jax.random.key(0), image, fraction=0.5)
  )
  changed = (half != image).any((1, 2, 3))
  assert 0 < changed.sum() < 8
  # A blur keeps the mean and lowers the spread.
  assert half[changed].std() < image[changed].std()


def _cutmix(role, keep, centre, first=(6, 8)):
  first = jnp.zeros((2, *first, 1)), jnp.zeros((2, *first), jnp.int32)
  second = jnp.ones((2, 6, 8, 1)), jnp.ones((2, 6, 8), jnp.int32)
  draw = cutmix.CutMixDraw(
    jnp.asarray(role), jnp.asarray(keep), jnp.asarray(centre)
  )
  return cutmix.apply_cutmix(*first, *second, draw)


def test_cutmix_roles_and_labels():
  image, label = _cutmix(0.2, 0.75, (3, 4))
  expected = np.zeros((6, 8))
  expected[2:4, 2:6] = 1  # half of each side
  np.testing.assert_array_equal(label[0], expected)
  np.testing.assert_array_equal(image[1, ..., 0], expected)
  _, label = _cutmix(0.8, 0.75, (3, 4), first=(5, 8))
  np.testing.assert_array_equal(label[0], 1 - expected)


@pytest.mark.parametrize(('keep', 'share'), [(0.9999, 0.0), (0.0, 0.25)])
def test_cutmix_boxes_can_be_empty_and_are_cut_at_the_border(keep, share):
  _, label = _cutmix(0.2, keep, (0, 0))
  assert label.mean() == share


def _images(height, width, seed):
  return (
    np.random.default_rng(seed)
    .normal(size=(2, height, width, 3))
    .astype(np.float32)
  )


def test_fourier_of_an_image_with_itself_or_without_share_is_the_image():
  image = _images(20, 24, 0)
  mix = lambda style, share: fourier.amplitude_mix(
    image, style, fraction=share, resize_style=True
  )
  np.testing.assert_allclose(mix(image, 0.2), image, atol=1e-5)
  np.testing.assert_allclose(mix(_images(20, 24, 1), 0.04), image, atol=1e-5)


def test_fourier_takes_mean_brightness_from_the_style_and_phase_of_neither():
  content = _images(20, 24, 0) + 3
  style = _images(20, 24, 1) + 9
  mixed = fourier.amplitude_mix(content, style, fraction=0.1, resize_style=True)
  np.testing.assert_allclose(mixed.mean((1, 2)), style.mean((1, 2)), rtol=1e-4)
  # High frequencies stay.
  high = lambda x: np.fft.rfft2(x, axes=(1, 2))[:, 3:17, 3:]
  np.testing.assert_allclose(high(mixed), high(content), atol=1e-3)


def test_fourier_reads_larger_styles_at_the_same_indices_unless_resized():
  content, style = _images(20, 24, 0), _images(26, 24, 1)
  results = [
    fourier.amplitude_mix(content, style, fraction=0.1, resize_style=r)
    for r in (False, True)
  ]
  assert np.abs(results[0] - results[1]).max() > 1e-2
  cut = np.fft.ifft2(np.fft.fft2(style, axes=(1, 2))[:, :20], axes=(1, 2))
  np.testing.assert_allclose(
    results[0],
    fourier.amplitude_mix(content, cut, fraction=0.1, resize_style=False),
    atol=1e-4,
  )


@pytest.mark.parametrize('size', [(4, 4), (6, 5)])
def test_fourier_of_blocks_that_meet_takes_all_amplitudes(size):
  images = np.random.default_rng(0).normal(size=(2, 1, *size, 1))
  content, style = images.astype(np.float32)
  mixed = fourier.amplitude_mix(content, style, fraction=0.6)
  amplitude = lambda x: np.abs(np.fft.rfft2(x, axes=(1, 2)))
  np.testing.assert_allclose(amplitude(mixed), amplitude(style), atol=1e-5)


def test_fourier_of_black_images_is_finite():
  black = np.zeros((1, 12, 12, 3), np.float32)
  mixed = fourier.amplitude_mix(
    black, _images(12, 12, 0)[:1], fraction=0.2, resize_style=True
  )
  assert np.isfinite(mixed).all()


def test_views_share_a_crop_and_its_label():
  label = np.zeros((2, 32, 64), np.int32)
  label[:, :, 32:] = 1
  pixels = np.repeat(np.where(label, 220, 40)[..., None], 3, -1)
  cut = jax.jit(
    functools.partial(weak_strong.weak_strong_views, size=(16, 16))
  )(jax.random.key(1), pixels.astype(np.uint8), label)
  assert cut.weak.shape == cut.strong.shape == (2, 16, 16, 3)
  # The edge is blurred by the crop's resizing, and by the strong colours.
  agrees = (cut.weak[..., 0] > 130) == (cut.label == 1)
  assert 0 < cut.label.mean() < 1 and agrees.mean() > 0.95
  assert (cut.strong != cut.weak).any()


def test_images_and_labels_of_other_sizes_are_refused():
  """Both are cut by one box, in pixels."""
  key, pixels = jax.random.key(0), _pixels(2, 8, 8)
  views = functools.partial(weak_strong.weak_strong_views, key, size=(4, 4))
  for image, label in (
    (pixels, np.zeros((2, 4, 4), int)),
    (pixels[0], np.zeros((8, 8), int)),
  ):
    with pytest.raises(ValueError, match='label: expected'):
      views(image, label)
  with pytest.raises(ValueError, match='pixels: expected'):
    weak_strong.random_blur(key, pixels[0], fraction=0.5)


def test_fourier_mixing_of_other_dtypes():
  content, style = _pixels(2, 1, 8, 8).astype(np.float32)
  mix = functools.partial(fourier.amplitude_mix, fraction=0.3)
  expected = mix(content, style)
  half = mix(content.astype(np.float16), style)
  assert half.dtype == np.float16
  np.testing.assert_allclose(half, expected, rtol=1e-2, atol=0.2)
  with pytest.raises(TypeError, match='content: expected a float array'):
    mix(content.astype(np.uint8), style)


@pytest.mark.parametrize('fraction', [0.9, 1.5])
def test_fourier_blocks_beyond_the_spectrum_take_all_of_it(fraction):
  content, style = _pixels(2, 1, 8, 8).astype(np.float32)
  found = fourier.amplitude_mix(content, style, fraction=fraction)
  spectrum = np.abs(np.fft.fft2(found, axes=(1, 2)))
  expected = np.abs(np.fft.fft2(style, axes=(1, 2)))
  # Columns 0 and W / 2 are their own mirror images, not conjugate ones here.
  inner = np.s_[:, :, 1:4]
  np.testing.assert_allclose(spectrum[inner], expected[inner], rtol=1e-3)
