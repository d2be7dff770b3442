"""The one train step: any method, over any number of groups and devices.

A *group* is the batch that a paper's iteration sees. A method knows one group;
here groups are spread over the devices (`shard_map`), mapped inside a device,
and their losses, gradients and running statistics are averaged.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
import optax

from uda_jax import parallel
from uda_jax import rng
from uda_jax import types
from uda_jax.train import optim
from uda_jax.train import teacher as teacher_lib

Net = types.Net
PyTree = types.PyTree
TrainState = types.TrainState


class Recipe(NamedTuple):
  """What a train step is made of.

  Attributes:
    method: the paper.
    network: the network.
    optimizer: optax transformation with the `learning_rate` argument.
    learning_rate: `learning_rate(state) -> scalar`.
    teacher: how the teacher follows, None without a teacher.
    frozen: `frozen(params) -> tree of bool`, True where never trained.
    accumulate: rounds of gradient accumulation over a device's groups.
  """

  method: types.Method
  network: types.Network
  optimizer: optax.GradientTransformationExtraArgs
  learning_rate: Callable[[TrainState], jax.Array]
  teacher: teacher_lib.Rule | None = None
  frozen: Callable[[PyTree], PyTree] | None = None
  accumulate: int = 1


def init_state(
  recipe: Recipe,
  student: Net,
  key: jax.Array,
  batch: types.Batch,
  *,
  num_steps: int,
  teacher: Net | None = None,
) -> TrainState:
  """Returns the state before the first step; see `parallel.place_state`.

  Args:
    recipe: what the run is made of.
    student: start variables; copied, so that the step may donate the state.
    key: the run's base key.
    batch: the shapes of all groups, leaves [groups, group size, ...].
    num_steps: length of the (first) round.
    teacher: start of the teacher; a copy of the student if not given.
  """
  groups = jax.tree.leaves(batch)[0].shape[0]
  copy = lambda tree: jax.tree.map(jnp.array, tree)

  # One program, not one for the shape of each variable.
  @jax.jit
  def make(student, teacher, key):
    one_group = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), batch)
    method_state = recipe.method.init(
      rng.stream(key, 'method_state'), recipe.network, one_group
    )
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      student=copy(student),
      teacher=copy(teacher) if recipe.teacher else (),
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


def _total(terms: dict[str, types.LossTerm]) -> jax.Array:
  return sum(term.weight * term.value for term in terms.values())


def _group_loss(recipe: Recipe, phase: int):
  """Returns f(params, state, batch, method_state, group, frozen) of a group."""

  def loss(params, state, batch, method_state, group, frozen):
    state = dataclasses.replace(state, method_state=method_state)
    key = jax.random.fold_in(jax.random.fold_in(state.rng, state.step), group)
    if recipe.frozen is not None:
      # Below a frozen stage no gradient is computed at all.
      params = jax.tree.map(
        lambda p, fixed: jax.lax.stop_gradient(p) if fixed else p,
        params,
        recipe.frozen(params),
      )
    losses = recipe.method.loss(
      params, state, batch, key, recipe.network, frozen, phase=phase
    )
    losses = losses._replace(panels={})
    return _total(losses.terms), losses

  return loss


def _gradient(recipe: Recipe, phase: int, local_groups: int):
  """Returns the function that does one device's groups: gradient and losses.

  The gradient is None, not zero, where the loss does not reach a parameter:
  PyTorch leaves such a parameter alone, optax would still decay it. Whether a
  path exists is read from the traced gradient: without one (the parameter is
  frozen, or no term of this phase uses it) it depends on no input.
  """
  loss = _group_loss(recipe, phase)
  together = local_groups // recipe.accumulate

  def chunk_loss(params, state, batch, method_state, group, frozen):
    """Mean loss of the groups that are computed together."""
    if together == 1:
      first = lambda tree: jax.tree.map(lambda x: x[0], tree)
      total, losses = loss(
        params, state, first(batch), first(method_state), group[0], frozen
      )
      return total, jax.tree.map(lambda x: jnp.asarray(x)[None], losses)
    totals, losses = jax.vmap(loss, (None, None, 0, 0, 0, None))(
      params, state, batch, method_state, group, frozen
    )
    return totals.mean(), losses

  everywhere = jax.jit(jax.grad(chunk_loss, has_aux=True))

  def gradient(*args):
    grads, losses = everywhere(*args)
    reached = optim.depends_on_input(everywhere, *args)[0]
    return jax.tree.map(lambda g, r: g if r else None, grads, reached), losses

  def device_gradient(params, state, batch, method_state, group, frozen):
    if recipe.accumulate == 1:
      return gradient(params, state, batch, method_state, group, frozen)
    chunks = jax.tree.map(
      lambda x: x.reshape(recipe.accumulate, together, *x.shape[1:]),
      (batch, method_state, group),
    )

    def add(sum_, chunk):
      grads, losses = gradient(params, state, *chunk, frozen)
      return jax.tree.map(jnp.add, sum_, grads), losses

    first = jax.tree.map(lambda x: x[0], chunks)
    shape = jax.eval_shape(gradient, params, state, *first, frozen)[0]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shape)
    grads, losses = jax.lax.scan(add, zeros, chunks)
    grads = jax.tree.map(lambda g: g / recipe.accumulate, grads)
    return grads, jax.tree.map(
      lambda x: x.reshape(local_groups, *x.shape[2:]), losses
    )

  return device_gradient


def make_gradient(recipe: Recipe, mesh: Mesh, groups: int, *, phase: int = 0):
  """Returns f(params, state, batch, frozen) -> (gradient, Losses).

  The gradient, the terms, metrics and running statistics are means over all
  groups; `method_state` keeps one entry a group. The gradient of a parameter
  that the loss does not reach is None.

  Args:
    recipe: what the run is made of.
    mesh: the devices; their number must divide `groups`.
    groups: number of groups a step.
    phase: which of the method's phases (see `Method.starts`).
  """
  parallel.check_groups(groups, mesh, recipe.accumulate)
  local = groups // mesh.size
  device_gradient = _gradient(recipe, phase, local)

  def on_device(params, state, method_state, batch, group, frozen):
    grads, losses = device_gradient(
      params, state, batch, method_state, group, frozen
    )
    mean = lambda tree: jax.tree.map(lambda x: x.mean(0), tree)
    averaged = (grads, mean(losses._replace(method_state=())))
    grads, means = jax.lax.pmean(averaged, parallel.DATA)
    return grads, means, losses.method_state

  # Replication is established by the pmean above; checking it would make JAX
  # insert its own sums into the gradient of the replicated parameters.
  mapped = jax.shard_map(
    on_device,
    mesh=mesh,
    check_vma=False,
    in_specs=(
      P(),
      P(),
      P(parallel.DATA),
      P(parallel.DATA),
      P(parallel.DATA),
      P(),
    ),
    out_specs=(P(), P(), P(parallel.DATA)),
  )

  def gradient(params, state, batch, frozen):
    bare = dataclasses.replace(state, method_state=())
    grads, losses, method_state = mapped(
      params, bare, state.method_state, batch, jnp.arange(groups), frozen
    )
    return grads, losses._replace(method_state=method_state)

  return gradient


def _metrics(losses, grad_norm, rate, finite) -> dict[str, jax.Array]:
  metrics = {
    f'loss/{name}': term.weight * term.value
    for name, term in losses.terms.items()
  }
  return {
    'loss/total': _total(losses.terms),
    **metrics,
    **losses.metrics,
    'grad_norm': grad_norm,
    'learning_rate': rate,
    'skipped': 1.0 - finite,
  }


def make_update(recipe: Recipe, mesh: Mesh, groups: int, *, phase: int = 0):
  """Returns the pure f(state, batch, frozen) -> (state, metrics), not jitted.

  See `make_train_step`.
  """
  gradient = make_gradient(recipe, mesh, groups, phase=phase)

  def update(state: TrainState, batch: types.Batch, frozen: PyTree = ()):
    params = state.student.params
    grads, losses = gradient(params, state, batch, frozen)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(grad_norm) & jnp.isfinite(_total(losses.terms))
    rate = recipe.learning_rate(state)
    updates, opt_state = recipe.optimizer.update(
      jax.tree.map(
        lambda p, g: jnp.zeros_like(p) if g is None else g, params, grads
      ),
      state.opt_state,
      params,
      learning_rate=rate,
    )
    params = jax.tree.map(
      lambda p, u, g: p if g is None else p + u, params, updates, grads
    )
    student = Net(params, losses.student_stats)
    teacher = (
      teacher_lib.follow(
        recipe.teacher,
        state.step + 1,
        state.teacher,
        student,
        losses.teacher_stats,
      )
      if recipe.teacher
      else ()
    )
    moved = dict(
      student=student,
      opt_state=opt_state,
      teacher=teacher,
      method_state=losses.method_state,
    )
    old = {name: getattr(state, name) for name in moved}
    kept = jax.tree.map(
      lambda new, old: jnp.where(finite, new, old), moved, old
    )
    new_state = TrainState(
      step=state.step + 1,
      round=state.round,
      rng=state.rng,
      nonfinite=jnp.where(finite, 0, state.nonfinite + 1),
      **kept,
    )
    metrics = _metrics(losses, grad_norm, rate, finite)
    return new_state, metrics | {'nonfinite': new_state.nonfinite}

  return update


def make_train_step(recipe: Recipe, mesh: Mesh, groups: int, *, phase: int = 0):
  """Returns the compiled step(state, batch, frozen) -> (state, metrics).

  In this order: gradient of the sum of weight * value, averaged over groups;
  finite check; optimiser; teacher. A step with a non-finite loss or gradient
  moves nothing but `step` and the count `nonfinite`. The given state is
  donated: it must not be used afterwards. Metrics are float scalars.

  Args:
    recipe: what the run is made of.
    mesh: the devices.
    groups: number of groups a step, a multiple of the number of devices.
    phase: which of the method's phases (see `Method.starts`).
  """
  return jax.jit(
    make_update(recipe, mesh, groups, phase=phase), donate_argnums=0
  )


def make_panels(recipe: Recipe, mesh: Mesh, *, phase: int = 0):
  """Returns the compiled f(state, batch, frozen) -> panels of the first group.

  A function of its own, so that ordinary steps never compute a picture.

  Args:
    recipe: what the run is made of.
    mesh: the devices; all of them hold the panels.
    phase: which of the method's phases (see `Method.starts`).
  """

  def panels(state, batch, frozen=()):
    first = lambda tree: jax.tree.map(lambda x: x[0], tree)
    own = dataclasses.replace(state, method_state=first(state.method_state))
    key = jax.random.fold_in(jax.random.fold_in(state.rng, state.step), 0)
    return recipe.method.loss(
      state.student.params,
      own,
      first(batch),
      key,
      recipe.network,
      frozen,
      phase=phase,
    ).panels

  return jax.jit(panels, out_shardings=parallel.replicated(mesh))
