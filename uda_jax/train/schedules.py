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
  """Polynomial decay: base * (1 - step / num_steps) ** power, 0 at the end.

  Args:
    step: [...] int, optimizer steps done.
    base: learning rate at step 0.
    num_steps: step > 0 from which on the rate is 0.
    power: 1 in DAFormer and HRDA, 0.9 in the DeepLab-v2 systems.

  Returns:
    [...] float.

  Example:
    >>> step = jnp.array([0, 5, 10, 11])
    >>> print(poly(step, base=0.1, num_steps=10, power=1.0))
    [0.1  0.05 0.   0.  ]
  """
  left = jnp.maximum(num_steps - jnp.asarray(step), 0).astype(float)
  return base * (left / num_steps) ** power


def linear_warmup(
  step: jax.Array | int, *, num_steps: int, ratio: float
) -> jax.Array:
  """Factor of a linear warm-up from `ratio` at step 0 to 1 at `num_steps`.

  ratio + (1 - ratio) * min(step / num_steps, 1), multiplied with a schedule
  that decays from step 0 on (DAFormer, released code).

  Args:
    step: [...] int, optimizer steps done.
    num_steps: length of the warm-up, > 0.
    ratio: factor at step 0, such as 1e-6.

  Returns:
    [...] float.

  Example:
    >>> print(linear_warmup(jnp.array([0, 5, 20]), num_steps=10, ratio=0.2))
    [0.2 0.6 1. ]
  """
  done = jnp.minimum(jnp.asarray(step), num_steps).astype(float)
  return ratio + done / num_steps * (1 - ratio)


def staircase(
  step: jax.Array | int, *, base: float, every: int, factor: float
) -> jax.Array:
  """Step decay: base * factor ** floor(step / every).

  Args:
    step: [...] int, optimizer steps done.
    base: learning rate at step 0.
    every: steps between two drops, > 0 (LSE with VGG-16: 50000).
    factor: factor of each drop (LSE: 0.1).

  Returns:
    [...] float.

  Example:
    >>> step = jnp.array([0, 9, 10, 20])
    >>> print(staircase(step, base=1.0, every=10, factor=0.1))
    [1.   1.   0.1  0.01]
  """
  drops = (jnp.asarray(step) // every).astype(float)
  return base * factor**drops


def warmup_then_poly(
  step: jax.Array | int,
  *,
  base: float,
  num_steps: int | jax.Array,
  power: float,
  warmup_steps: int,
  ratio: float,
  first_step: int = 0,
) -> jax.Array:
  """Linear warm-up to the base rate, then a polynomial decay.

  The decay begins at `first_step`: at 0 it has run during the warm-up, so that
  the rate drops at the warm-up's end (VFM-UDA, released code); at
  `warmup_steps` it begins after it (SoMA).

  Args:
    step: [...] int, optimizer steps done.
    base: learning rate at the end of the warm-up.
    num_steps: see `poly`.
    power: see `poly`.
    warmup_steps: steps of the warm-up, the first at `ratio`, the last at 1.
    ratio: factor at step 0, such as 1e-3.
    first_step: the last step at which the decay's factor is 1.

  Returns:
    [...] float.

  Example:
    >>> step = jnp.array([0, 1, 2, 3, 10])
    >>> options = dict(base=1.0, num_steps=10, power=1.0)
    >>> print(warmup_then_poly(step, warmup_steps=3, ratio=0.2, **options))
    [0.2 0.6 1.  0.7 0. ]
  """
  step = jnp.asarray(step)
  done = jnp.minimum(step, warmup_steps).astype(float)
  warm = ratio + done / max(warmup_steps - 1, 1) * (1 - ratio)
  decayed = poly(
    step - first_step,
    base=base,
    num_steps=num_steps - first_step,
    power=power,
  )
  return jnp.where(step < warmup_steps, base * warm, decayed)


def cosine_between(
  step: jax.Array | int, *, first: float, last: float, num_steps: int
) -> jax.Array:
  """Half a cosine from one value to another (SoMA's weight decay).

  Args:
    step: [...] int, optimizer steps done.
    first: value at step 0.
    last: value from step `num_steps` on.
    num_steps: > 0.

  Returns:
    [...] float.

  Example:
    >>> step = jnp.array([0, 5, 10])
    >>> print(cosine_between(step, first=1.0, last=0.0, num_steps=10))
    [1.  0.5 0. ]
  """
  done = jnp.minimum(jnp.asarray(step), num_steps).astype(float)
  share = (1 + jnp.cos(jnp.pi * done / num_steps)) / 2
  return last + (first - last) * share
