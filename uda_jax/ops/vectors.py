"""Vectors of unit length."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def unit_vectors(x: jax.Array) -> jax.Array:
  """Scales vectors to length 1.

  Args:
    x: [..., D] float, any values; the dtype is kept.

  Returns:
    [..., D]; a vector of zeros stays zero, with gradient 0.

  Example:
    >>> print(unit_vectors(jnp.array([[3.0, 4.0], [0.0, 0.0]])))
    [[0.6 0.8]
     [0.  0. ]]
  """
  square = jnp.square(x).sum(-1, keepdims=True)
  nonzero = square > 0
  length = jnp.sqrt(jnp.where(nonzero, square, 1))
  return jnp.where(nonzero, x / jnp.maximum(length, 1e-12), 0)
