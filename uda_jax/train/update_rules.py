"""SGD and AdamW as optax transformations with numbers for each parameter.

The learning rate is an argument of every update (`learning_rate=`), and so is
whether loss and gradient are finite (`finite=`): if not, no state changes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from uda_jax import types

PyTree = types.PyTree


class RepeatedSgdState(NamedTuple):
  """Momentum buffers, and whether a step was ever made."""

  momentum: PyTree
  started: jax.Array


def repeated_sgd(
  *,
  momentum: float,
  weight_decay: PyTree,
  rates: PyTree,
  repeats: PyTree,
  fresh_every_repeat: bool,
  decay_in_place: bool = False,
) -> optax.GradientTransformationExtraArgs:
  """SGD in which a parameter may take several whole updates a step.

  PixMatch, EHTDI and LSE list their backbone's tensors three or four times in
  the optimizer, which then repeats `u = g + wd p; b = m b + u; p = p - lr b`
  with the same gradient (released code; the published numbers have it).

  Args:
    momentum: m.
    weight_decay: tree of wd, one a parameter.
    rates: tree of learning-rate factors, one a parameter.
    repeats: tree of the numbers of updates, one a parameter.
    fresh_every_repeat: in the very first step `b = u` at every repeat (PyTorch
      >= 1.9) instead of at the first repeat only (PyTorch 1.7).
    decay_in_place: every repeat adds its `wd p` to the gradient that the next
      repeat starts from (PyTorch 1.0, which LSE's authors had).
  """

  def init(params):
    return RepeatedSgdState(
      jax.tree.map(jnp.zeros_like, params), jnp.zeros((), bool)
    )

  def update(grads, state, params, *, learning_rate, finite=True, **_):
    def one(g, p, b, wd, rate, k):
      new = p
      for _ in range(k):
        u = g + wd * new
        if decay_in_place:
          g = u
        keep = momentum * b
        if fresh_every_repeat:
          keep = jnp.where(state.started, keep, 0)
        b = keep + u
        new = new - (learning_rate * rate).astype(p.dtype) * b
      return new - p, b

    kept = lambda new, old: jnp.where(finite, new, old)
    pairs = jax.tree.map(
      one, grads, params, state.momentum, weight_decay, rates, repeats
    )
    updates, buffers = jax.tree.transpose(
      jax.tree.structure(params), jax.tree.structure((0, 0)), pairs
    )
    buffers = jax.tree.map(kept, buffers, state.momentum)
    return updates, RepeatedSgdState(buffers, state.started | finite)

  return optax.GradientTransformationExtraArgs(init, update)


def adam(
  *, b1: float, b2: float, eps: float
) -> optax.GradientTransformationExtraArgs:
  """Adam's direction, as `optax.scale_by_adam` computes it.

  That one reads the old averages twice, for the new averages and for the
  direction, and XLA makes two kernels of it, so that the old ones have to be
  copied at each step. Here the direction reads the new averages, which are
  written over the old.

  Args:
    b1: decay of the average of gradients.
    b2: decay of the average of their squares.
    eps: what is added to the root of the latter.
  """

  def update(grads, state, params=None, *, finite=True, **_):
    del params

    def average(old, decay, order):
      new = optax.tree.update_moment(grads, old, decay, order)
      kept = jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)
      return jax.tree.map(jax.lax.optimization_barrier, kept)

    count = jnp.where(finite, optax.safe_increment(state.count), state.count)
    mu, nu = average(state.mu, b1, 1), average(state.nu, b2, 2)
    updates = jax.tree.map(
      lambda m, v: m / (jnp.sqrt(v) + eps),
      optax.tree.bias_correction(mu, b1, count),
      optax.tree.bias_correction(nu, b2, count),
    )
    return updates, optax.ScaleByAdamState(count, mu, nu)

  init = optax.scale_by_adam(b1=b1, b2=b2, eps=eps).init
  return optax.GradientTransformationExtraArgs(init, update)


def decay_weights(
  weight_decay: PyTree, *, last: float | None = None
) -> optax.GradientTransformationExtraArgs:
  """Adds `wd * p` to the updates, with a wd of its own for each parameter.

  Args:
    weight_decay: tree of wd, one a parameter.
    last: what every wd moves to: `last + (wd - last) * decay_left`, an argument
      of the update from 1 to 0. None: constant.
  """

  def update(updates, state, params, *, decay_left=None, **_):
    def one(u, p, wd):
      if last is not None:
        wd = (last + (wd - last) * decay_left).astype(p.dtype)
      return u + wd * p

    return jax.tree.map(one, updates, params, weight_decay), state

  return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def descend(rates: PyTree) -> optax.GradientTransformationExtraArgs:
  """Multiplies by minus the learning rate, times each parameter's factor."""

  def update(updates, state, params=None, *, learning_rate, **_):
    del params
    return jax.tree.map(
      lambda u, rate: -(learning_rate * rate).astype(u.dtype) * u,
      updates,
      rates,
    ), state

  return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)
