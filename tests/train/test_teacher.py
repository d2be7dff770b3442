"""The mean teacher."""

import jax.numpy as jnp
import numpy as np

from uda_jax import types
from uda_jax.train import teacher


def _variables(value, stats=0.0):
  return types.Variables(
    {'w': jnp.asarray(value)}, {'mean': jnp.asarray(stats)}
  )


def test_the_ramp_makes_a_plain_mean_at_first():
  students = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
  variables = _variables(jnp.full(3, 9.0))
  rule = teacher.Rule(decay=0.999, ramp=True)
  for step, student in enumerate(students):
    variables = teacher.follow(rule, step, variables, _variables(student), ())
    np.testing.assert_allclose(
      variables.params['w'], students[: step + 1].mean(0), rtol=1e-5
    )


def test_the_decay_rises_to_its_maximum():
  steps = np.array([0, 1, 98, 998, 999, 40000])
  np.testing.assert_allclose(
    teacher.ema_decay(steps, maximum=0.999),
    [0, 0.5, 1 - 1 / 99, 1 - 1 / 999, 0.999, 0.999],
    rtol=1e-6,
  )
  assert float(teacher.ema_decay(0, maximum=0.5, ramp=False)) == 0.5


def test_the_old_teacher_keeps_the_decay():
  rule = teacher.Rule(decay=0.75, ramp=False)
  moved = teacher.follow(rule, 5, _variables([8.0]), _variables([4.0]), ())
  np.testing.assert_array_equal(moved.params['w'], [7.0])
  assert moved.params['w'].dtype == jnp.float32


def test_batch_statistics_are_copied_every_n_steps_or_given():
  old, new = _variables([0.0], 1.0), _variables([0.0], 2.0)
  given = {'mean': jnp.asarray(5.0)}
  stats = lambda step, every: float(
    teacher.follow(
      teacher.Rule(0.9, False, every), jnp.asarray(step), old, new, given
    ).batch_stats['mean']
  )
  assert [stats(step, 3) for step in (2, 3, 4)] == [1, 2, 1]
  assert stats(3, 0) == 5
