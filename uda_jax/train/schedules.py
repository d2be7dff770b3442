"""Learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def poly(
  step: jax.Array | int,
  *,
  base: float,
  num_steps: int | jax.Array,
  power: float,
) -> jax.Array:
  """Returns base * (1 - step / num_steps) ** power, and 0 after the end.

  Args:
    step: [...] int, optimiser steps done.
    base: the rate at step 0.
    num_steps: the step at which the rate is 0.
    power: 1 in DAFormer and HRDA, 0.9 in the DeepLab-v2 systems.

  Returns:
    [...] float.
  """
  left = jnp.maximum(num_steps - jnp.asarray(step), 0).astype(float)
  return base * (left / num_steps) ** power


def linear_warmup(
  step: jax.Array | int, *, num_steps: int, ratio: float
) -> jax.Array:
  """Returns the factor of a linear warm-up, from `ratio` at step 0 to 1.

  ratio + (1 - ratio) * step / num_steps before `num_steps`, then 1. It
  multiplies a schedule that is already decaying (DAFormer, released code).

  Args:
    step: [...] int, optimiser steps done.
    num_steps: length of the warm-up, > 0.
    ratio: the factor at step 0, such as 1e-6.

  Returns:
    [...] float.
  """
  done = jnp.minimum(jnp.asarray(step), num_steps).astype(float)
  return ratio + done / num_steps * (1 - ratio)


def staircase(
  step: jax.Array | int, *, base: float, every: int, factor: float
) -> jax.Array:
  """Returns base * factor ** floor(step / every).

  Args:
    step: [...] int, optimiser steps done.
    base: the rate at step 0.
    every: steps between two drops, > 0 (LSE with VGG-16: 50000).
    factor: what each drop multiplies by (LSE: 0.1).

  Returns:
    [...] float.
  """
  drops = (jnp.asarray(step) // every).astype(float)
  return base * factor**drops
