"""Vectors of unit length."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def unit_vectors(x: jax.Array) -> jax.Array:
  """Scales vectors to length 1, computed in float32 or wider.

  Args:
    x: [..., D] float. Vectors shorter than 1e-12 are divided by that, as in
      PyTorch; those longer than 1e19, whose square float32 does not hold,
      become zeros.

  Returns:
    [..., D] of the same dtype (float32 for integers); a vector of zeros stays
    zero, with gradient 0.

  Example:
    >>> print(unit_vectors(jnp.array([[3.0, 4.0], [0.0, 0.0]])))
    [[0.6 0.8]
     [0.  0. ]]
  """
  wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  square = jnp.square(wide).sum(-1, keepdims=True)
  nonzero = square > 0
  length = jnp.sqrt(jnp.where(nonzero, square, 1))
  unit = jnp.where(nonzero, wide / jnp.maximum(length, 1e-12), 0)
  return unit.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else unit
