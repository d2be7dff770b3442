"""The train state before the first step, or restored from a checkpoint."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from absl import logging
import jax
import jax.numpy as jnp

from uda_jax import parallel
from uda_jax import rng
from uda_jax import types
from uda_jax.train import recipe as recipe_lib

if TYPE_CHECKING:
  # They load TensorFlow and orbax, which programs on arrays do without.
  from uda_jax.runs import checkpoint
  from uda_jax.train import setup


def init_state(
  recipe: recipe_lib.Recipe,
  student: types.Variables,
  key: jax.Array,
  batch: types.Batch,
  *,
  num_steps: int,
  teacher: types.Variables | None = None,
) -> types.TrainState:
  """Returns the state before the first step.

  Args:
    recipe: method, network, optimizer and teacher rule.
    student: initial variables; copied, so that the step may donate the state.
    key: the run's base key.
    batch: the shapes of all groups, leaves [groups, group size, ...].
    num_steps: length of the run, or of its first round.
    teacher: the teacher's initial variables; default: those of the student.
  """
  groups = jax.tree.leaves(batch)[0].shape[0]
  copy = lambda tree: jax.tree.map(jnp.array, tree)

  # One program instead of one for the shape of each variable.
  @jax.jit
  def make(student, teacher, key):
    one_group = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), batch)
    method_state = recipe.method.init(
      rng.stream(key, 'method_state'), recipe.network, one_group
    )
    return types.TrainState(
      step=jnp.zeros((), jnp.int32),
      student=copy(student),
      teacher=copy(teacher) if recipe.teacher else None,
      opt_state=recipe.optimizer.init(student.params),
      method_state=jax.tree.map(
        lambda x: jnp.broadcast_to(x, (groups, *x.shape)), method_state
      ),
      round=types.Round(
        jnp.zeros((), jnp.int32),
        jnp.zeros((), jnp.int32),
        jnp.asarray(num_steps, jnp.int32),
      ),
      nonfinite=jnp.zeros((), jnp.int32),
      rng=copy(key),
    )

  return make(student, teacher or student, key)


def start(
  run: setup.Run, student: types.Variables, batch: types.Batch
) -> types.TrainState:
  """Returns the state before the first step of a run.

  Args:
    run: the run.
    student: initial variables.
    batch: the shapes of all groups, arrays [groups, group size, ...].
  """
  config = run.config
  state = init_state(
    run.recipe,
    student,
    jax.random.key(config.seed),
    batch,
    num_steps=config.steps,
  )
  if not config.rounds:
    return state
  # The steps on the source alone, if any, precede the first round.
  before = types.Round(-1, 0, config.method.adapt_from)
  return dataclasses.replace(
    state,
    round=jax.tree.map(
      lambda x, old: jnp.asarray(x, old.dtype), before, state.round
    ),
  )


def start_or_restore(
  run: setup.Run,
  student: types.Variables,
  batch: types.Batch,
  saved: checkpoint.Checkpoints,
) -> types.TrainState:
  """Returns the state of the newest checkpoint, or the one of step 0.

  Args:
    run: the run.
    student: initial variables.
    batch: any batch of this process's groups, as host arrays.
    saved: the checkpoints of the run.
  """
  if saved.latest_step() is not None:
    state = saved.restore(_abstract(run, student, _shapes(run, batch)))
    logging.info('resumed at step %d', int(state.step))
    return state
  return fresh(run, student, batch)


def fresh(
  run: setup.Run, student: types.Variables, batch: types.Batch
) -> types.TrainState:
  """Returns the state of step 0, placed as training has it.

  Args:
    run: the run.
    student: initial variables.
    batch: as of `start_or_restore`.
  """
  shapes = _shapes(run, batch)
  like = _abstract(run, student, shapes)
  # Host arrays go in, arrays over all devices of all processes come out.
  make = jax.jit(
    lambda student: start(run, student, shapes),
    out_shardings=jax.tree.map(lambda x: x.sharding, like),
  )
  return make(jax.device_get(student))


def _shapes(run: setup.Run, batch: types.Batch) -> types.Batch:
  """Returns the shapes of the global batch of a process's host arrays."""
  batch = parallel.to_global(batch, run.mesh)
  return jax.eval_shape(lambda batch: batch, batch)


def _abstract(run: setup.Run, student, batch) -> types.TrainState:
  """Returns shapes and shardings of the train state."""
  shapes = jax.eval_shape(
    lambda student, batch: start(run, student, batch), student, batch
  )
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    parallel.state_sharding(shapes, run.mesh, run.config.parallel.shard),
  )
