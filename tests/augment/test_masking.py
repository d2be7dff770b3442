"""Masked blocks: their fraction, their shape, the visible pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.augment import masking


def test_blocks_are_whole_and_hidden_at_the_given_rate():
  mask = np.asarray(
    masking.draw_mask(
      jax.random.key(0), (64, 128), batch=8, ratio=0.7, block_size=8
    )
  )
  blocks = mask.reshape(8, 8, 8, 16, 8)
  np.testing.assert_array_equal(blocks.all((2, 4)), blocks.any((2, 4)))
  assert abs(mask.mean() - 0.3) < 0.05
  assert not np.array_equal(mask[0], mask[1])


def test_bounds_of_the_ratio():
  draw = lambda ratio: masking.draw_mask(
    jax.random.key(0), (8, 8), batch=2, ratio=ratio, block_size=4
  )
  assert not draw(1.0).any()
  assert draw(-1.0).all()


def test_a_side_of_half_a_block_rounds_to_even():
  assert masking.block_grid((20, 28), 8) == (2, 4)
  with pytest.raises(ValueError, match='block_size: .*got 8'):
    masking.block_grid((4, 12), 8)


def test_hidden_pixels_are_zero_and_give_no_gradient():
  mask = jnp.array([[[True, False]]])
  image = jnp.array([[[[1.0, 2.0, 3.0], [jnp.nan, 5.0, 6.0]]]])
  value, gradient = jax.value_and_grad(
    lambda x: masking.apply_mask(x, mask).sum()
  )(image)
  assert value == 6
  np.testing.assert_array_equal(gradient[0, 0], [[1] * 3, [0] * 3])
