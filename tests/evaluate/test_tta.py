"""Predictions averaged over scales and mirror images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.evaluate import tta


def _prob(variables, images, size):
  """Logits of two pixels; class 0 is for bright pixels and for the left one."""
  del variables, size
  bright = images.mean(-1) / 100
  left = jnp.linspace(2.0, -2.0, images.shape[2])
  return jax.nn.softmax(jnp.stack([bright + left, jnp.zeros_like(bright)], -1))


def test_mirrored_views_are_turned_back_and_probabilities_averaged():
  images = np.zeros((1, 1, 2, 3), np.uint8)
  images[0, 0, 0] = 100
  prob = tta.mean_of_views(_prob, scales=(1.0,), flip=True)((), images, (1, 2))
  sigmoid = lambda x: 1 / (1 + np.exp(-x))
  # The bright pixel is on the left as it is, on the right in the mirror.
  expected = [(sigmoid(3) + sigmoid(-1)) / 2, (sigmoid(-2) + sigmoid(2)) / 2]
  np.testing.assert_allclose(prob[0, 0, :, 0], expected, rtol=1e-6)
  np.testing.assert_allclose(prob.sum(-1), 1, rtol=1e-6)


def test_scales_change_what_the_network_sees_but_not_the_size():
  seen = []

  def prob(variables, images, size):
    seen.append(images.shape[1:3])
    return jnp.zeros((len(images), *size, 3)) + images.mean()

  mean = tta.mean_of_views(prob, scales=(0.5, 1.0, 1.5), flip=True)(
    (), np.full((1, 5, 8, 3), 7, np.uint8), (6, 9)
  )
  # 2.5 and 7.5 are rounded up.
  assert seen == [(3, 4)] * 2 + [(5, 8)] * 2 + [(8, 12)] * 2
  assert mean.shape == (1, 6, 9, 3) and mean.dtype == jnp.float32
  # An image of one row keeps it.
  tta.mean_of_views(prob, scales=(0.25,), flip=False)(
    (), np.zeros((1, 1, 8, 3), np.uint8), (1, 8)
  )
  assert seen[-1] == (1, 2)


def test_a_network_of_pixels_is_its_own_mirror_image():
  network = tiny.network(3)
  variables = network.init(jax.random.key(0), (4, 6))
  images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
  plain = inference.make_predict(network)(variables, images, (4, 6))
  mirrored = inference.make_predict(network, protocol.Protocol(flip=True))(
    variables, images, (4, 6)
  )
  np.testing.assert_array_equal(plain, mirrored)
  small = inference.make_predict(network, protocol.Protocol(scales=(0.5,)))(
    variables, images, (4, 6)
  )
  assert (small != plain).any()


@pytest.mark.parametrize('scales', [(), (0.0, 1.0), (100.0,)])
def test_scales_that_are_none(scales):
  with pytest.raises(ValueError, match=r'config\.eval\.scales'):
    tta.mean_of_views(_prob, scales=scales, flip=False)
