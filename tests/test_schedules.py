"""Learning-rate schedules."""

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import schedules


def test_poly_ends_at_zero_and_stays():
  rate = schedules.poly(np.array([0, 5, 10, 12]), base=2., num_steps=10,
                        power=.9)
  np.testing.assert_allclose(rate, [2, 2 * .5**.9, 0, 0], rtol=1e-6)


def test_warmup_is_linear_then_one():
  factor = schedules.linear_warmup(np.array([0, 750, 1500, 9000]),
                                   num_steps=1500, ratio=1e-6)
  np.testing.assert_allclose(factor, [1e-6, .5 + .5e-6, 1, 1], rtol=1e-6)


def test_the_step_may_be_traced():
  rate = jax.jit(lambda step: schedules.poly(
      step, base=1., num_steps=jnp.asarray(4), power=1.))(3)
  assert rate == 0.25


def test_staircase_drops_at_whole_periods():
  rate = schedules.staircase(np.array([0, 9, 10, 25]), base=2., every=10,
                             factor=.1)
  np.testing.assert_allclose(rate, [2, 2, .2, .02], rtol=1e-6)
