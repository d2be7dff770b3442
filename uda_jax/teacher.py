"""The mean teacher: an exponential moving average of the student's parameters.

Parameters only: what becomes of batch statistics differs between papers and is
the step's business.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def ema_decay(step: jax.Array | int, *, maximum: float,
              ramp: bool = True) -> jax.Array:
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
