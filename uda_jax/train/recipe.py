"""From a config to what a train step is made of; needs no data."""

from __future__ import annotations

from uda_jax import methods
from uda_jax import types
from uda_jax.train import optim
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib


def make(
  config, num_classes: int, network: types.Network, params: types.PyTree
) -> step_lib.Recipe:
  """Makes the method, the optimiser and the rules of the teacher."""
  batch = config.batch
  factors = {'none': 1.0, 'linear': batch.groups, 'sqrt': batch.groups**0.5}
  if batch.scale_learning_rate not in factors:
    raise ValueError(
      'config.batch.scale_learning_rate: expected one of '
      f'{sorted(factors)}, got {batch.scale_learning_rate!r}'
    )
  factor = factors[batch.scale_learning_rate]
  rule = config.teacher
  return step_lib.Recipe(
    method=methods.make(config.method, num_classes),
    network=network,
    optimizer=optim.make(config.optim, params),
    learning_rate=lambda state: (
      factor * optim.learning_rate(config.schedule, state)
    ),
    teacher=teacher_lib.Rule(rule.decay, rule.ramp, rule.copy_stats_every)
    if rule.use
    else None,
    frozen=lambda params: optim.match(
      params, tuple((p, True) for p in config.optim.frozen), False
    ),
    accumulate=batch.accumulate,
  )
