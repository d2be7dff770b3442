"""Scaled dot-product attention in the precision of its input."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def attend(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  *,
  implementation: str = 'xla',
) -> jax.Array:
  """Returns softmax(query key^T / sqrt(N)) value for every head.

  Args:
    query: [B, T, H, N] float.
    key: [B, S, H, N] float.
    value: [B, S, H, N] float.
    implementation: of `jax.nn.dot_product_attention`; unused in float64.

  Returns:
    [B, T, H, N].
  """
  if query.dtype != jnp.float64:
    return jax.nn.dot_product_attention(
      query, key, value, implementation=implementation
    )
  # JAX's function computes the softmax in float32 for every input dtype.
  scores = jnp.einsum('bthn,bshn->bhts', query, key) * query.shape[-1] ** -0.5
  return jnp.einsum('bhts,bshn->bthn', jax.nn.softmax(scores), value)
