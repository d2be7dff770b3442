"""The blur of PixMatch's images against Pillow's, pixel for pixel."""

import jax.numpy as jnp
import numpy as np
from PIL import Image
from PIL import ImageFilter

from uda_jax.augment import pillow_blur


def test_equals_pillow():
  radius = np.float32([0.0, 0.01, 0.22094517, 0.5, 0.7220618, 0.99])
  pixels = np.random.default_rng(0).integers(
    0, 256, (len(radius), 23, 31, 3), np.uint8
  )
  pixels[:, 5:12, 4:20] = 255
  expected = [
    Image.fromarray(p).filter(ImageFilter.GaussianBlur(float(r)))
    for p, r in zip(pixels, radius)
  ]
  np.testing.assert_array_equal(
    pillow_blur.pillow_gaussian_blur(jnp.asarray(pixels), jnp.asarray(radius)),
    np.stack(expected),
  )
