"""The mean teacher."""

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.train import teacher


def test_the_ramp_makes_a_plain_mean_at_first():
  students = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
  params = {'w': jnp.full(3, 9.0)}
  for step, student in enumerate(students):
    decay = teacher.ema_decay(step, maximum=0.999)
    params = teacher.update(params, {'w': student}, decay)
    np.testing.assert_allclose(
      params['w'], students[: step + 1].mean(0), rtol=1e-5
    )


def test_the_decay_rises_to_its_maximum():
  steps = np.array([0, 1, 98, 998, 999, 40000])
  np.testing.assert_allclose(
    teacher.ema_decay(steps, maximum=0.999),
    [0, 0.5, 1 - 1 / 99, 1 - 1 / 999, 0.999, 0.999],
    rtol=1e-6,
  )
  assert float(teacher.ema_decay(0, maximum=0.5, ramp=False)) == 0.5


def test_dtypes_are_kept():
  with jax.enable_x64(True):
    params = {'a': jnp.ones(2, jnp.float64), 'b': jnp.ones(2, jnp.float32)}
    moved = teacher.update(params, params, teacher.ema_decay(3, maximum=0.9))
    jax.tree.map(
      lambda x, y: np.testing.assert_equal(x.dtype, y.dtype), moved, params
    )
