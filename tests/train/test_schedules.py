"""Learning-rate schedules."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import types as types_lib
from uda_jax.configs.blocks import common
from uda_jax.train import optim
from uda_jax.train import schedules


def test_poly_ends_at_zero_and_stays():
  rate = schedules.poly(
    np.array([0, 5, 10, 12]), base=2.0, num_steps=10, power=0.9
  )
  np.testing.assert_allclose(rate, [2, 2 * 0.5**0.9, 0, 0], rtol=1e-6)


def test_warmup_is_linear_then_one():
  factor = schedules.linear_warmup(
    np.array([0, 750, 1500, 9000]), num_steps=1500, ratio=1e-6
  )
  np.testing.assert_allclose(factor, [1e-6, 0.5 + 0.5e-6, 1, 1], rtol=1e-6)


def test_the_step_may_be_traced():
  rate = jax.jit(
    lambda step: schedules.poly(
      step, base=1.0, num_steps=jnp.asarray(4), power=1.0
    )
  )(3)
  assert rate == 0.25


def test_staircase_drops_at_whole_periods():
  rate = schedules.staircase(
    np.array([0, 9, 10, 25]), base=2.0, every=10, factor=0.1
  )
  np.testing.assert_allclose(rate, [2, 2, 0.2, 0.02], rtol=1e-6)


@pytest.mark.parametrize(
  'index, step, expected',
  [(-1, 0, 2.0), (-1, 5, 1.0), (0, 10, 0.2), (0, 12, 0.1), (3, 10, 0.2)],
)
def test_every_round_is_a_run_of_its_own_at_its_own_rate(index, step, expected):
  config = common.cosine(learning_rate=2.0)
  config.round_factor = 0.1
  first, length = (0, 10) if index < 0 else (10, 4)
  state = types.SimpleNamespace(
    step=jnp.asarray(step), round=types_lib.Round(index, first, length)
  )
  np.testing.assert_allclose(
    optim.learning_rate(config, state), expected, rtol=1e-6
  )
  config.round_factor = 1.0
  assert optim.learning_rate(config, state) == (
    pytest.approx(expected if index < 0 else 10 * expected)
  )


def test_a_cosine_does_not_rise_again_after_its_end():
  config = common.cosine(learning_rate=2.0)
  config.length = 10
  for step in (10, 11, 20):
    state = types.SimpleNamespace(
      step=jnp.asarray(step), round=types_lib.Round(-1, 0, 20)
    )
    np.testing.assert_allclose(optim.learning_rate(config, state), 0, atol=1e-6)


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    (
      {'shape': 'step'},
      "schedule.shape: expected one of 'poly', .* got 'step'",
    ),
    (
      {'shape': 'staircase'},
      'schedule.every: expected 1 or more with .* got 0',
    ),
  ],
)
def test_a_schedule_that_there_is_not(changes, expected):
  config = common.poly(learning_rate=1.0)
  config.update(changes)
  state = types.SimpleNamespace(step=0, round=types_lib.Round(-1, 0, 10))
  with pytest.raises(ValueError, match=expected):
    optim.learning_rate(config, state)
