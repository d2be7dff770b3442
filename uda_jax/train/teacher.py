"""The mean teacher: an exponential moving average of the student's parameters.

Of parameters only; what becomes of batch statistics differs between papers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PyTree = Any


class Rule(NamedTuple):
  """How the teacher follows the student.

  Attributes:
    decay: the (maximal) share of the old teacher that is kept.
    ramp: start with 1 - 1/(t+1) below that maximum (mean teacher).
    copy_stats_every: 0: the teacher keeps the batch statistics that the method
      hands back (its own); n: it copies the student's every n steps.
  """

  decay: float
  ramp: bool
  copy_stats_every: int = 0


def ema_decay(
  step: jax.Array | int, *, maximum: float, ramp: bool = True
) -> jax.Array:
  """Returns the share of the old teacher that is kept.

  min(1 - 1 / (step + 1), maximum): at first the teacher is the plain mean of
  all students so far (arXiv 1703.01780; DAFormer, arXiv 2111.14887, eq. 4).

  Args:
    step: [] int, number of optimiser steps done; at 0 the teacher becomes the
      student.
    maximum: the decay that is kept in the long run, such as 0.999.
    ramp: False keeps `maximum` from the first step on (PixMatch).

  Returns:
    [] float.
  """
  if not ramp:
    return jnp.asarray(maximum, float)
  return jnp.minimum(1 - 1 / (jnp.asarray(step, float) + 1), maximum)


def update(teacher: PyTree, student: PyTree, decay: jax.Array) -> PyTree:
  """Returns decay * teacher + (1 - decay) * student, leaf by leaf.

  Args:
    teacher: tree of float arrays; their dtypes are kept.
    student: the same tree of the student.
    decay: [] float in [0, 1].
  """

  def move(old, new):
    keep = jnp.asarray(decay, old.dtype)
    return keep * old + (1 - keep) * new

  return jax.tree.map(move, teacher, student)


def follow(
  rule: Rule, step: jax.Array, teacher: Any, student: Any, stats: PyTree
) -> Any:
  """Returns the teacher that has moved to the student.

  Args:
    rule: how.
    step: [] int, the optimiser steps done, with the one that made `student`.
    teacher: `types.Variables`, as it was before that step.
    student: `types.Variables`, as the step left it.
    stats: the teacher's batch statistics by the method.
  """
  decay = ema_decay(step, maximum=rule.decay, ramp=rule.ramp)
  if rule.copy_stats_every:
    copy_now = step % rule.copy_stats_every == 0
    stats = jax.tree.map(
      lambda new, old: jnp.where(copy_now, new, old),
      student.batch_stats,
      teacher.batch_stats,
    )
  return teacher._replace(
    params=update(teacher.params, student.params, decay), batch_stats=stats
  )
