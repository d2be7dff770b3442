"""Batch-norm statistics of target images: nothing else is in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.train import target_statistics

STATS = {'mean': jnp.array([7.0, -300.0]), 'head': jnp.array([5.0])}


@pytest.mark.parametrize('momentum', [0.1, 0.01])
@pytest.mark.parametrize('count', [1, 5])
def test_a_few_batches_leave_nothing_of_the_source(momentum, count):
  batches = np.random.default_rng(0).normal(40, 3, (count, 2))

  @jax.jit
  def update(several, batch):
    blend = lambda x: (1 - momentum) * x + momentum * batch
    return several | {'mean': jax.vmap(blend)(several['mean'])}

  found = target_statistics.averages(update, STATS, batches)
  weight = (1 - momentum) ** np.arange(count)[::-1]
  expected = (weight[:, None] * batches).sum(0) / weight.sum()
  np.testing.assert_allclose(found['mean'], expected, rtol=1e-4)
  # A head that the pass does not go through.
  np.testing.assert_array_equal(found['head'], STATS['head'])
