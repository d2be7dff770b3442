"""Arrays of a dtype whose result would be wrong are refused."""

import jax
import jax.numpy as jnp
import pytest

from uda_jax.augment import dacs_jitter
from uda_jax.augment import filters
from uda_jax.augment import hsv
from uda_jax.augment import opencv_color
from uda_jax.augment import pillow_blur
from uda_jax.augment import torchvision_jitter
from uda_jax.augment import weak_strong

_KEY = jax.random.key(0)


@pytest.mark.parametrize(
  'apply',
  [
    lambda x: dacs_jitter.color_jitter(
      x, dacs_jitter.draw_color_jitter(_KEY, batch=1)
    ),
    lambda x: dacs_jitter.gaussian_blur(x, jnp.ones(1)),
    lambda x: filters.separable_filter(x, jnp.ones((1, 1)), jnp.ones((1, 1))),
    hsv.rgb_to_hsv,
    torchvision_jitter.gray,
    lambda x: torchvision_jitter.jitter(x[0], jnp.ones(4), jnp.arange(4)),
  ],
)
def test_bytes_where_floats_are_expected(apply):
  """Weights below 1 would become 0: a black image."""
  with pytest.raises(TypeError, match='expected a float array, got uint8'):
    apply(jnp.full((1, 4, 4, 3), 90, jnp.uint8))


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'float32'])
@pytest.mark.parametrize(
  'apply',
  [
    opencv_color.rgb_to_hsv,
    opencv_color.gray,
    lambda x: opencv_color.shift_hsv(x, jnp.zeros(3)),
    lambda x: opencv_color.binomial_blur(x, radius=2),
  ],
)
def test_narrow_integers_where_sums_would_wrap_around(apply, dtype):
  with pytest.raises(TypeError, match=f'pixels: expected int32.*got {dtype}'):
    apply(jnp.full((4, 4, 3), 90, dtype))


@pytest.mark.parametrize(
  'apply',
  [
    lambda x: weak_strong.apply_color(x, weak_strong.draw_color(_KEY, batch=1)),
    lambda x: weak_strong.crop_images(x, jnp.array([[0, 4, 0, 4]]), (2, 2)),
    lambda x: pillow_blur.pillow_gaussian_blur(x, jnp.zeros(1)),
  ],
)
def test_floats_where_bytes_are_expected(apply):
  """Those in [0, 1] would be cut off to a black image."""
  with pytest.raises(TypeError, match='pixels: expected uint8.*got bfloat16'):
    apply(jnp.full((1, 4, 4, 3), 0.5, jnp.bfloat16))
