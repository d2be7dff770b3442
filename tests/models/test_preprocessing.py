"""Pixels to network inputs and back."""

import jax
import numpy as np
import pytest

from uda_jax.models import preprocessing


@pytest.mark.parametrize('name', ['IMAGENET', 'CAFFE', 'CENTRED'])
def test_preprocessing_and_back(name):
  rule = getattr(preprocessing, name)
  pixels = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
  image = rule.normalize(pixels)
  assert image.dtype == np.float32
  back = rule.denormalize(image)
  np.testing.assert_allclose(back, pixels, atol=1e-4)
  with jax.enable_x64(True):
    wide = rule.normalize(pixels.astype(np.float64))
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, image, atol=1e-4)


def test_channel_order():
  red = np.array([255, 0, 0], np.uint8)
  np.testing.assert_allclose(
    preprocessing.CAFFE.normalize(red),
    [-104.00698793, -116.66876762, 255 - 122.67891434],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    preprocessing.CENTRED.normalize(red), [1, -127 / 128, -127 / 128]
  )
  with pytest.raises(ValueError, match="got 'grb'"):
    preprocessing.Preprocessing((0, 0, 0), channel_order='grb')


@pytest.mark.parametrize('name', ['IMAGENET', 'CAFFE', 'CENTRED'])
@pytest.mark.parametrize('channels', [1, 2, 4, 8])
def test_other_numbers_of_channels(name, channels):
  base = getattr(preprocessing, name)
  rule = base.with_channels(channels)
  pixels = np.arange(64 * channels).reshape(8, 8, channels).astype(np.uint8)
  image = rule.normalize(pixels)
  np.testing.assert_allclose(rule.denormalize(image), pixels, atol=1e-4)
  if channels > 3:
    np.testing.assert_array_equal(
      image[..., :3], base.normalize(pixels[..., :3])
    )
  first = 3 if channels > 3 else 0
  mean, std = np.mean(base.mean), np.mean(base.std)
  np.testing.assert_allclose(
    image[..., first:], (pixels[..., first:] - mean) / std, rtol=1e-5, atol=1e-5
  )
  with pytest.raises(ValueError, match=f'{channels} channels.*got 3'):
    rule.normalize(np.zeros((2, 2, 3), np.uint8))


def test_three_channels_are_the_rule_itself():
  assert preprocessing.CAFFE.with_channels(3) is preprocessing.CAFFE
