"""A run with low-rank adapters: its start, what trains, and the optimizer."""

from __future__ import annotations

import pathlib

from absl import logging
import jax
import jax.numpy as jnp
import optax

from uda_jax import rng
from uda_jax import types
from uda_jax.models import adapters
from uda_jax.runs import adapted
from uda_jax.train import patterns

PyTree = types.PyTree


def start(
  config: types.Config, workdir: pathlib.Path, student: types.Variables
) -> tuple[types.Variables, adapted.Base | None]:
  """Returns the student with the adapters of `config.optim`, and its base."""
  rule = adapters.rule(config.optim)
  if rule is None:
    return student, None
  key = rng.stream(jax.random.key(config.seed), 'adapters')
  params = adapters.adapt(rule, student.params, key)
  base, student = adapted.keep(workdir, student._replace(params=params), rule)
  frozen = sum(x.size for x in base.arrays.values())
  logging.info(
    'adapters: %s of rank %d; %s of %s parameters train, the others are in %s',
    rule.kind,
    rule.rank,
    f'{count(student) - frozen:,}',
    f'{count(student):,}',
    adapted.FILE,
  )
  return student, base


def count(variables: types.Variables) -> int:
  """Returns the number of parameters."""
  return sum(x.size for x in jax.tree.leaves(variables.params))


def frozen(
  config: types.Config, low_rank: adapters.Rule | None, params: types.PyTree
) -> types.PyTree:
  """Returns a tree of bools, True where a parameter never trains."""
  named = patterns.match(
    params, tuple((p, True) for p in config.optim.frozen), False
  )
  if low_rank is None:
    return named
  return jax.tree.map(
    lambda fixed, on: fixed or not on, named, adapters.trained(low_rank, params)
  )


def on_trained(
  rule: optax.GradientTransformationExtraArgs, trained: PyTree
) -> optax.GradientTransformationExtraArgs:
  """Returns the optimizer with a state of the trained parameters alone.

  Args:
    rule: an optimizer.
    trained: tree of bools, True where a parameter trains; the others have
      scalars in place of their state, and updates of 0.
  """

  def some(tree):
    return jax.tree.map(
      lambda on, x: x if on else jnp.zeros((), x.dtype), trained, tree
    )

  def init(params):
    return rule.init(some(params))

  def update(grads, state, params, **options):
    updates, state = rule.update(some(grads), state, some(params), **options)
    updates = jax.tree.map(
      lambda on, u, p: u if on else jnp.zeros_like(p), trained, updates, params
    )
    return updates, state

  return optax.GradientTransformationExtraArgs(init, update)
