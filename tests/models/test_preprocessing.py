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
