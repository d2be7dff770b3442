"""The one train step of all methods: gradient, optimizer, teacher."""

from __future__ import annotations

import collections
from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import optax

from uda_jax import parallel
from uda_jax import types
from uda_jax.train import gradient as gradient_lib
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import teacher as teacher_lib

Variables = types.Variables
PyTree = types.PyTree
TrainState = types.TrainState


def _metrics(
  losses: types.Losses, grad_norm: jax.Array, rate: jax.Array, finite: jax.Array
) -> dict[str, jax.Array]:
  metrics = {
    f'loss/{name}': term.weight * term.value
    for name, term in losses.terms.items()
  }
  return {
    'loss/total': gradient_lib.total(losses.terms),
    **metrics,
    **losses.metrics,
    'grad_norm': grad_norm,
    'learning_rate': rate,
    'skipped': 1.0 - finite,
  }


def make_update(
  recipe: recipe_lib.Recipe,
  mesh: Mesh,
  groups: int,
  *,
  phase: int = 0,
  shard: str = 'none',
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
  """Returns the pure f(state, batch, frozen) -> (state, metrics), not jitted.

  See `make_train_step`.
  """
  gradient = gradient_lib.make_gradient(recipe, mesh, groups, phase=phase)

  def update(
    state: TrainState, batch: types.Batch, frozen: types.Variables | None = None
  ):
    grads, losses = gradient(state.student.params, state, batch, frozen)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(grad_norm) & jnp.isfinite(
      gradient_lib.total(losses.terms)
    )
    rate = recipe.learning_rate(state)
    new_state = dataclasses.replace(
      state,
      step=state.step + 1,
      nonfinite=jnp.where(finite, 0, state.nonfinite + 1),
      **_moved(recipe, state, grads, losses, rate, finite),
    )
    if shard != 'none':
      # Each device computes its part of the update.
      new_state = jax.lax.with_sharding_constraint(
        new_state, parallel.state_sharding(new_state, mesh, shard)
      )
    metrics = _metrics(losses, grad_norm, rate, finite)
    return new_state, metrics | {'nonfinite': new_state.nonfinite}

  return update


def _moved(
  recipe: recipe_lib.Recipe,
  state: TrainState,
  grads: PyTree,
  losses: types.Losses,
  rate: jax.Array,
  finite: jax.Array,
) -> dict[str, Any]:
  """Returns the fields of the state that a finite step changes, after it."""
  kept = lambda new, old: jax.tree.map(
    lambda n, o: jnp.where(finite, n, o), new, old
  )
  params, opt_state = _descended(recipe, state, grads, rate, finite)
  stats = kept(losses.student_stats, state.student.batch_stats)
  student = Variables(params, stats)
  teacher = _followed(recipe, state, student, losses.teacher_stats)
  return dict(
    student=student,
    opt_state=opt_state,
    teacher=kept(teacher, state.teacher),
    method_state=kept(losses.method_state, state.method_state),
  )


def _descended(
  recipe: recipe_lib.Recipe,
  state: TrainState,
  grads: PyTree,
  rate: jax.Array,
  finite: jax.Array,
) -> tuple[PyTree, Any]:
  """Returns the parameters and the optimizer's state after an update.

  AdamW's correction of its averages counts the steps of the run, PyTorch's
  those of each tensor: a head that a later phase reaches first (PiPa's patches)
  begins with updates up to 6.5 times as large, 1.3 times after 1,000 steps.
  """
  params, left = state.student.params, recipe.decay_left(state)
  updates, opt_state = recipe.optimizer.update(
    jax.tree.map(
      lambda p, g: jnp.zeros_like(p) if g is None else g, params, grads
    ),
    state.opt_state,
    params,
    learning_rate=rate,
    finite=finite,
    **({} if left is None else {'decay_left': left}),
  )

  def moved(p, u, g):
    if g is None:
      return p
    # The teacher reads what was written, or XLA would compute it twice and copy
    # the old parameters (see `update_rules.adam`).
    return jax.lax.optimization_barrier(jnp.where(finite, p + u, p))

  return jax.tree.map(moved, params, updates, grads), opt_state


def _followed(
  recipe: recipe_lib.Recipe,
  state: TrainState,
  student: Variables,
  teacher_stats: PyTree,
) -> Variables | None:
  """Returns the teacher after the step, None without one."""
  if recipe.teacher is None:
    return None
  teacher = teacher_lib.follow(
    recipe.teacher, state.step + 1, state.teacher, student, teacher_stats
  )
  if not recipe.one_base:
    return teacher
  assert recipe.frozen and state.teacher
  # Averages of equal numbers round.
  kept = jax.tree.map(
    lambda fixed, old, new: old if fixed else new,
    recipe.frozen(student.params),
    state.teacher.params,
    teacher.params,
  )
  return teacher._replace(params=kept)


def make_train_step(
  recipe: recipe_lib.Recipe,
  mesh: Mesh,
  groups: int,
  *,
  phase: int = 0,
  shard: str = 'none',
) -> jax.stages.Wrapped:
  """Returns the jitted step(state, batch, frozen) -> (state, metrics).

  In this order: gradient of the sum of weight * value, averaged over groups;
  finite check; optimizer; teacher. A step with a non-finite loss or gradient
  changes only `step` and the count `nonfinite`. The given state is donated: it
  must not be used afterwards. Metrics are float scalars.

  Args:
    recipe: method, network, optimizer and teacher rule.
    mesh: the devices.
    groups: number of groups per step, a multiple of the number of devices.
    phase: number of the method's phase (see `Method.starts`).
    shard: how the state is divided over the devices; see
      `parallel.state_sharding`.
  """
  update = make_update(recipe, mesh, groups, phase=phase, shard=shard)
  return jax.jit(update, donate_argnums=0)


def make_panels(
  recipe: recipe_lib.Recipe, mesh: Mesh, *, phase: int = 0
) -> jax.stages.Wrapped:
  """Returns the jitted f(state, batch, frozen) -> panels of the first group.

  The panels are an ordered dict, in the method's order: JAX sorts the keys of a
  plain one. A function of its own, so that ordinary steps compute no picture.

  Args:
    recipe: method and network.
    mesh: the devices; all of them hold the panels.
    phase: number of the method's phase (see `Method.starts`).
  """

  def panels(state, batch, frozen=()):
    first = lambda tree: jax.tree.map(lambda x: x[0], tree)
    own = dataclasses.replace(state, method_state=first(state.method_state))
    key = jax.random.fold_in(jax.random.fold_in(state.rng, state.step), 0)
    losses = recipe.method.loss(
      state.student.params,
      own,
      first(batch),
      key,
      recipe.network,
      frozen,
      phase=phase,
    )
    return collections.OrderedDict(losses.panels)

  return jax.jit(panels, out_shardings=parallel.replicated(mesh))
