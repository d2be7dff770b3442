"""OpenCV's colors where the golden files have no values."""

import jax.numpy as jnp
import numpy as np

from uda_jax.augment import opencv_color


def test_a_hue_shifted_just_below_0_is_no_full_turn():
  pixels = jnp.array([[90, 90, 90], [200, 100, 100]])
  shifted = opencv_color.shift_hsv(pixels, jnp.array([-1e-6, 0.0, 0.0]))
  np.testing.assert_allclose(shifted, pixels, atol=4)
