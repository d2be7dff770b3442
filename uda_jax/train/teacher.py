"""Mean teacher: exponential moving average of the student's parameters.

arXiv 1703.01780. Batch statistics are not averaged; `Rule` states what becomes
of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

PyTree = Any


class Rule(NamedTuple):
  """Rule of the teacher's update.

  Attributes:
    decay: weight in [0, 1] of the old teacher in the long run.
    ramp: use min(decay, 1 - 1 / (step + 1)), as in the mean teacher paper.
    copy_stats_every: 0: the teacher's batch statistics are those that the
      method returns; n > 0: those of the student, copied every n steps.
  """

  decay: float
  ramp: bool
  copy_stats_every: int = 0


def ema_decay(
  step: jax.Array | int, *, maximum: float, ramp: bool = True
) -> jax.Array:
  """Weight of the old teacher: min(1 - 1 / (step + 1), maximum).

  At first the teacher is the plain mean of all students so far (arXiv
  1703.01780; DAFormer, arXiv 2111.14887, eq. 4).

  Args:
    step: [...] int, optimizer steps done; at 0 the teacher becomes the student.
    maximum: decay in the long run, such as 0.999.
    ramp: False: `maximum` at every step (PixMatch).

  Returns:
    [...] float in [0, 1].

  Example:
    >>> print(ema_decay(jnp.array([0, 1, 9, 5000]), maximum=0.999))
    [0.    0.5   0.9   0.999]
  """
  if not ramp:
    return jnp.asarray(maximum, float)
  return jnp.minimum(1 - 1 / (jnp.asarray(step, float) + 1), maximum)


def follow(
  rule: Rule, step: jax.Array, teacher: Any, student: Any, stats: PyTree
) -> Any:
  """Teacher after a step: decay * teacher + (1 - decay) * student.

  Args:
    rule: rule of the update.
    step: [] int, optimizer steps done, including the one that made `student`.
    teacher: `types.Variables` before that step, parameters in float32.
    student: `types.Variables` after that step.
    stats: the teacher's batch statistics as the method returned them.

  Returns:
    `types.Variables` of the teacher.
  """
  decay = ema_decay(step, maximum=rule.decay, ramp=rule.ramp)
  if rule.copy_stats_every:
    copy_now = step % rule.copy_stats_every == 0
    stats = jax.tree.map(
      lambda new, old: jnp.where(copy_now, new, old),
      student.batch_stats,
      teacher.batch_stats,
    )
  # optax weighs its first tree by its last argument: here the old teacher.
  params = optax.incremental_update(teacher.params, student.params, decay)
  return teacher._replace(params=params, batch_stats=stats)
