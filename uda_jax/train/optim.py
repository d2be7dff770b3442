"""Optimizers with parameter groups, and the learning rate of a step.

Updates take what `update_rules` needs of a step: the learning rate, read from
the train state's step, so that a skipped step advances the schedule, not the
moments.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from uda_jax import types
from uda_jax.train import layer_decay
from uda_jax.train import patterns
from uda_jax.train import schedules
from uda_jax.train import update_rules

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
      update_rules.adam(b1=config.b1, b2=config.b2, eps=config.eps),
      update_rules.decay_weights(
        decays, last=None if last == CONSTANT else last
      ),
      update_rules.descend(rates),
    )
  else:
    rule = update_rules.repeated_sgd(
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
