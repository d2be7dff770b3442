"""The gradient of a method's loss over any number of groups and devices.

A *group* is the batch of one iteration of a paper. A method sees one group;
groups are spread over the devices (`shard_map`) and mapped inside a device, and
their losses, gradients and running statistics are averaged.
"""

from __future__ import annotations

import dataclasses
from typing import cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from uda_jax import parallel
from uda_jax import types
from uda_jax.train import recipe as recipe_lib


def total(terms: dict[str, types.LossTerm]) -> jax.Array:
  """Returns the scalar sum of weight * value."""
  values = [term.weight * term.value for term in terms.values()]
  return cast(jax.Array, sum(values))


def group_loss(recipe: recipe_lib.Recipe, phase: int):
  """Returns f(params, state, batch, method_state, group, frozen) of one group.

  It returns the sum of the weighted terms, and the losses.
  """

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
    return total(losses.terms), losses

  return loss


def _gradient(recipe: recipe_lib.Recipe, phase: int, local_groups: int):
  """Returns the function of the gradient and losses of one device's groups.

  The gradient is None, not zero, where the loss does not depend on a parameter
  (it is frozen, or no term of this phase uses it): PyTorch does not update such
  a parameter, optax would still decay it. Whether the loss depends on it is
  read from the traced gradient, which otherwise depends on no input.
  """
  loss = group_loss(recipe, phase)
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
    reached = depends_on_input(everywhere, *args)[0]
    return jax.tree.map(lambda g, r: g if r else None, grads, reached), losses

  if recipe.accumulate == 1:
    return gradient
  return _accumulated(gradient, recipe.accumulate, local_groups)


def _accumulated(gradient, turns: int, local_groups: int):
  """Returns a gradient function that computes a part of its groups at a time.

  Args:
    gradient: of `local_groups // turns` groups.
    turns: number of parts; their gradients are averaged.
    local_groups: groups of a device.
  """

  def accumulated(params, state, batch, method_state, group, frozen):
    parts = jax.tree.map(
      lambda x: x.reshape(turns, local_groups // turns, *x.shape[1:]),
      (batch, method_state, group),
    )

    def add(sum_, part):
      grads, losses = gradient(params, state, *part, frozen)
      return jax.tree.map(jnp.add, sum_, grads), losses

    first = jax.tree.map(lambda x: x[0], parts)
    shape = jax.eval_shape(gradient, params, state, *first, frozen)[0]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shape)
    grads, losses = jax.lax.scan(add, zeros, parts)
    grads = jax.tree.map(lambda g: g / turns, grads)
    return grads, jax.tree.map(
      lambda x: x.reshape(local_groups, *x.shape[2:]), losses
    )

  return accumulated


def make_gradient(
  recipe: recipe_lib.Recipe, mesh: Mesh, groups: int, *, phase: int = 0
):
  """Returns f(params, state, batch, frozen) -> (gradient, Losses).

  The gradient, terms, metrics and running statistics are means over all groups;
  `method_state` keeps one entry per group. The gradient of a parameter that the
  loss does not depend on is None.

  Args:
    recipe: method, network and frozen parameters.
    mesh: the devices; their number must divide `groups`.
    groups: number of groups per step.
    phase: number of the method's phase (see `Method.starts`).
  """
  parallel.check_groups(groups, mesh, recipe.accumulate)
  local = groups // mesh.size
  device_gradient = _gradient(recipe, phase, local)

  def on_device(params, state, method_state, batch, group, frozen):
    grads, losses = device_gradient(
      params, state, batch, method_state, group, frozen
    )
    mean = lambda tree: jax.tree.map(lambda x: x.mean(0), tree)
    averaged = (grads, mean(losses._replace(method_state=None)))
    grads, means = jax.lax.pmean(averaged, parallel.DATA)
    return grads, means, losses.method_state

  # The pmean above makes the results equal on all devices. With check_vma JAX
  # would insert its own sums into the gradient of the replicated parameters.
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
    bare = dataclasses.replace(state, method_state=None, opt_state=None)
    grads, losses, method_state = mapped(
      params, bare, state.method_state, batch, jnp.arange(groups), frozen
    )
    return grads, losses._replace(method_state=method_state)

  return gradient


def depends_on_input(function, *args) -> types.PyTree:
  """Returns which outputs of a compiled function depend on any argument.

  A call of the function with the same shapes does not trace it again.

  Args:
    function: what `jax.jit` gives for a function of array trees.
    *args: its arguments, arrays or shapes.

  Returns:
    A tree of bools, in the structure of the function's result.
  """
  traced = function.trace(*args)
  jaxpr = traced.jaxpr.jaxpr
  varying = set(map(id, jaxpr.invars))
  for equation in jaxpr.eqns:
    if any(id(v) in varying for v in equation.invars):
      varying.update(map(id, equation.outvars))
  flags = [id(v) in varying for v in jaxpr.outvars]
  return jax.tree.unflatten(jax.tree.structure(traced.out_info), flags)
