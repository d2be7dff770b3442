"""Batch-norm statistics of target images (AdaBN, arXiv 1603.04779)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from uda_jax import parallel
from uda_jax import types
from uda_jax.train import setup

# Start of a running average that shows how much of its start is left.
_MARK = 2.0**20


def adapted(
  run: setup.Run, variables: types.Variables, count: int
) -> types.Variables:
  """Returns the network with batch-norm statistics of target images alone.

  Args:
    run: the run.
    variables: those of the network, as the train state has them.
    count: number of training batches whose target images are used; at most
      the steps of the run.

  Returns:
    The same parameters with other statistics, replicated on all devices.
  """
  network = run.recipe.network
  if not jax.tree.leaves(variables.batch_stats):
    return variables

  # Replicated: a process cannot read the shards of another.
  @functools.partial(jax.jit, out_shardings=parallel.replicated(run.mesh))
  def update(several, images):
    images = network.normalize(images.reshape(-1, *images.shape[2:]))
    after = lambda stats: network.forward(variables.params, stats, images)[1]
    return jax.vmap(after)(several)

  images = (
    parallel.to_global(batch, run.mesh).target.image
    for _, batch in zip(range(count), setup.batches(run, 0, read_target=True))
  )
  stats = averages(update, variables.batch_stats, images)
  return variables._replace(batch_stats=stats)


def averages(
  update: Callable[[types.PyTree, Any], types.PyTree],
  stats: types.PyTree,
  batches: Iterable[Any],
) -> types.PyTree:
  """Returns running averages of batches, without what they start from.

  A running average of momentum 0.1 still holds a third of its start after ten
  batches, so it starts from 0 here and is divided by the weight of the batches.

  Args:
    update: `update(several, batch)`: the running statistics after a batch, of
      several at once ([2, ...] arrays), linear in those before.
    stats: statistics; those that `update` leaves as they are stay so.
    batches: one or more.
  """
  several = jax.tree.map(
    lambda x: jnp.stack([jnp.zeros_like(x), jnp.full_like(x, _MARK)]), stats
  )
  for batch in batches:
    several = update(several, batch)

  def alone(old: jax.Array, pair: jax.Array) -> jax.Array:
    left = (pair[1] - pair[0]) / _MARK
    moved = left < 1
    return jnp.where(moved, pair[0] / jnp.where(moved, 1 - left, 1), old)

  return jax.tree.map(alone, stats, several)
