"""The parts of a train step, built from a config; needs no data."""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import optax

from uda_jax import methods
from uda_jax import types
from uda_jax.data import label_fraction
from uda_jax.models import adapters
from uda_jax.train import adaptation
from uda_jax.train import optim
from uda_jax.train import teacher as teacher_lib


class Recipe(NamedTuple):
  """The parts of a train step.

  Attributes:
    method: loss and initial state of a method.
    network: the functions of the network.
    optimizer: optax transformation with the `learning_rate` argument.
    learning_rate: `learning_rate(state) -> scalar`.
    decay_left: `decay_left(state) -> scalar`, an argument of an optimizer whose
      weight decay moves, or None; see `optim.decay_left`.
    teacher: update rule of the moving average, None without a teacher.
    frozen: `frozen(params) -> tree of bool`, True where never trained.
    one_base: the teacher has the student's frozen parameters, to the bit (with
      adapters); else it averages them like all others.
    accumulate: number of chunks of a device's groups whose gradients are
      accumulated one after the other.
  """

  method: types.Method
  network: types.Network
  optimizer: optax.GradientTransformationExtraArgs
  learning_rate: Callable[[types.TrainState], jax.Array]
  teacher: teacher_lib.Rule | None = None
  frozen: Callable[[types.PyTree], types.PyTree] | None = None
  accumulate: int = 1
  one_base: bool = False
  decay_left: Callable[[types.TrainState], jax.Array | None] = lambda _: None


def batch_factor(rule: str, groups: int) -> float:
  """Returns the factor of the learning rate for a number of groups.

  Args:
    rule: 'none', 'linear' or 'sqrt', `config.batch.scale_learning_rate`.
    groups: `config.batch.groups`.
  """
  factors = {'none': 1.0, 'linear': groups, 'sqrt': groups**0.5}
  if rule not in factors:
    raise ValueError(
      'config.batch.scale_learning_rate: expected one of '
      f'{sorted(factors)}, got {rule!r}'
    )
  return factors[rule]


def make(
  config: types.Config,
  num_classes: int,
  network: types.Network,
  params: types.PyTree,
  method=None,
) -> Recipe:
  """Makes the method, the optimizer and the rules of the teacher.

  Args:
    config: the run's.
    num_classes: of the labels.
    network: of `config.model`, on plain parameters.
    params: the student's, with adapters if `config.optim.adapters` has any;
      their values are not read.
    method: `config.method` with class weights as numbers; None: the config's
      own, which names no formula.
  """
  batch = config.batch
  factor = batch_factor(batch.scale_learning_rate, batch.groups)
  rule = config.teacher
  optimizer = optim.make(config.optim, params)
  low_rank = adapters.rule(config.optim)
  if low_rank is not None:
    network = adapters.wrap(network, low_rank.scale)
    frozen = adaptation.frozen(config, low_rank, params)
    optimizer = adaptation.on_trained(
      optimizer, jax.tree.map(lambda fixed: not fixed, frozen)
    )
  method = method or config.method
  data = config.get('data', {})
  made = methods.make(
    method, num_classes, data.get('pair', {}).get('stride', 0)
  )
  if weight := label_fraction.weight(data):
    made = methods.with_target_labels(method, num_classes, made, weight)
  return Recipe(
    method=made,
    network=network,
    optimizer=optimizer,
    learning_rate=lambda state: (
      factor * optim.learning_rate(config.schedule, state)
    ),
    teacher=teacher_lib.Rule(rule.decay, rule.ramp, rule.copy_stats_every)
    if rule.use
    else None,
    frozen=functools.partial(adaptation.frozen, config, low_rank),
    accumulate=batch.accumulate,
    one_base=low_rank is not None,
    decay_left=functools.partial(optim.decay_left, config.optim),
  )
