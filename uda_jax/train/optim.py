"""Optimizers with parameter groups, and the learning rate of a step.

The learning rate is an argument of every update (`learning_rate=`), read from
the train state's step, and so is whether loss and gradient are finite
(`finite=`): a skipped step advances the schedule, not the moments.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from uda_jax import types
from uda_jax.train import layer_decay
from uda_jax.train import patterns
from uda_jax.train import schedules

Config = types.Config
PyTree = types.PyTree
# Value of `config.optim.weight_decay_end`.
CONSTANT = -1.0
# Shapes of `config.schedule` whose rate is 0 from `length` on.
ENDING = ('poly', 'cosine', 'warmup_poly')
# Name -> the fields of `config.optim` that only this optimizer reads.
_FIELDS = {
  'adamw': ('b1', 'b2', 'eps'),
  'sgd': ('momentum', 'repeats', 'fresh_every_repeat', 'decay_in_place'),
}


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


def check(config: Config) -> None:
  """Raises ValueError for a block `config.optim` that makes no optimizer."""
  if config.name not in _FIELDS:
    raise ValueError(
      f'config.optim.name: expected one of {", ".join(map(repr, _FIELDS))}, '
      f'got {config.name!r}'
    )
  missing = [field for field in _FIELDS[config.name] if field not in config]
  if missing:
    raise ValueError(
      f'config.optim.name: {config.name!r} needs the field config.optim.'
      f'{missing[0]}, which this config does not have; '
      'configs/blocks/common.py has a block for each optimizer'
    )
  last = config.get('weight_decay_end', CONSTANT)
  if last != CONSTANT and (last < 0 or config.name != 'adamw'):
    raise ValueError(
      f'config.optim.weight_decay_end: expected {CONSTANT} (constant) or, with '
      f"name='adamw', 0 or more, got {last} with name={config.name!r}"
    )
  patterns.check(config)


def decay_left(config: Config, state: types.TrainState) -> jax.Array | None:
  """Returns how much is left of the difference to `weight_decay_end`.

  Half a cosine from 1 at the first step of the round to 0 at its end (SoMA,
  released code); None if the weight decay is constant.

  Args:
    config: `config.optim`.
    state: its step and round are read.
  """
  if config.get('weight_decay_end', CONSTANT) == CONSTANT:
    return None
  return schedules.cosine_between(
    state.step - state.round.first_step,
    first=1.0,
    last=0.0,
    num_steps=state.round.length,
  )


def learning_rates(config: Config, params: PyTree) -> PyTree:
  """Returns the factor of each parameter's learning rate.

  Args:
    config: `groups` and `layer_decay` of `config.optim` are read.
    params: tree of parameters or of their shapes.
  """
  return jax.tree.map(
    lambda group, layer: group * layer,
    patterns.match(params, tuple((g[0], g[1]) for g in config.groups), 1.0),
    layer_decay.factors(params, config.get('layer_decay', 1.0)),
  )


def weight_decays(config: Config, params: PyTree) -> PyTree:
  """Returns the weight decay of each parameter; arguments as above."""
  return jax.tree.map(
    lambda factor: factor * config.weight_decay,
    patterns.match(params, tuple((g[0], g[2]) for g in config.groups), 1.0),
  )


def make(
  config: Config, params: PyTree
) -> optax.GradientTransformationExtraArgs:
  """Builds the optimizer of `config.optim` for these parameters.

  Fields: `name` ('adamw' or 'sgd'), `weight_decay`, `b1`, `b2`, `eps` or
  `momentum`, `clip_norm` (0 = off), `groups` (rows: path pattern,
  learning-rate factor, weight-decay factor; first match wins), `repeats`
  (rows: path pattern, number of updates), `fresh_every_repeat` and
  `decay_in_place`, SGD only. `layer_decay`, see `layer_decay.factors`; without
  it 1, off. `weight_decay_end`, AdamW only: what the weight decay of every
  group moves to, see `decay_left`; updates then take that argument.

  Raises:
    ValueError: `name` is unknown, or a pattern of `groups`, `repeats` or
      `frozen` matches no parameter.
  """
  check(config)
  patterns.check_matches(config, params)
  rates = learning_rates(config, params)
  decays = weight_decays(config, params)
  last = config.get('weight_decay_end', CONSTANT)
  if config.name == 'adamw':
    rule = optax.chain(
      adam(b1=config.b1, b2=config.b2, eps=config.eps),
      decay_weights(decays, last=None if last == CONSTANT else last),
      descend(rates),
    )
  else:
    rule = repeated_sgd(
      momentum=config.momentum,
      weight_decay=decays,
      rates=rates,
      repeats=patterns.match(params, config.repeats, 1),
      fresh_every_repeat=config.fresh_every_repeat,
      decay_in_place=config.decay_in_place,
    )
  if config.clip_norm:
    rule = optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)
  return rule


def check_schedule(config: Config) -> None:
  """Raises ValueError for a block `config.schedule` that gives no rate."""
  shapes = ('poly', 'cosine', 'constant', 'staircase', 'warmup_poly')
  if config.shape not in shapes:
    raise ValueError(
      f'config.schedule.shape: expected one of {", ".join(map(repr, shapes))}, '
      f'got {config.shape!r}'
    )
  if config.shape == 'staircase' and config.every < 1:
    raise ValueError(
      "config.schedule.every: expected 1 or more with shape 'staircase', got "
      f'{config.every}'
    )


def learning_rate(config: Config, state: types.TrainState) -> jax.Array:
  """The learning rate of `config.schedule` at this state's step and round.

  Fields: `learning_rate`, `shape` ('poly', 'cosine', 'constant', 'staircase',
  or 'warmup_poly': `schedules.warmup_then_poly`, whose warm-up takes the place
  of the decay), `length` (poly and cosine: the step at which the rate is 0;
  0: the end of the round), `power` (poly), `every` and `factor` (staircase),
  `warmup_steps`, `warmup_ratio`, and `round_factor`: the multiplier during
  pseudo-label rounds.

  Raises:
    ValueError: `shape` is unknown, or `every` is below 1 where it is needed.
  """
  check_schedule(config)
  step = state.step - state.round.first_step
  length = config.length or state.round.length
  base = config.learning_rate
  if config.shape == 'poly':
    rate = schedules.poly(step, base=base, num_steps=length, power=config.power)
  elif config.shape == 'warmup_poly':
    rate = schedules.warmup_then_poly(
      step,
      base=base,
      num_steps=length,
      power=config.power,
      warmup_steps=config.warmup_steps,
      ratio=config.warmup_ratio,
    )
  elif config.shape == 'cosine':
    rate = schedules.cosine_between(
      step, first=base, last=0.0, num_steps=length
    )
  elif config.shape == 'constant':
    rate = jnp.asarray(base)
  else:
    rate = schedules.staircase(
      step, base=base, every=config.every, factor=config.factor
    )
  if config.warmup_steps and config.shape != 'warmup_poly':
    rate = rate * schedules.linear_warmup(
      step, num_steps=config.warmup_steps, ratio=config.warmup_ratio
    )
  if config.round_factor != 1.0:
    rate = jnp.where(state.round.index < 0, rate, config.round_factor * rate)
  return rate
