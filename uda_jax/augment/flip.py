"""Mirroring of images and label maps on the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def flip_is_on(uniform: jax.Array) -> jax.Array:
  """True where a uniform draw in [0, 1) mirrors an image; [...] bool."""
  return uniform < 0.5


def flip(x: jax.Array, on: jax.Array) -> jax.Array:
  """Mirrors the chosen images left-right.

  Args:
    x: [B, H, W, C] or [B, H, W], any dtype.
    on: [B] bool, or [] for all images alike.

  Returns:
    The same shape and dtype.

  Example:
    >>> print(flip(jnp.array([[[1, 2]], [[3, 4]]]), jnp.array([True, False])))
    [[[2 1]]
    <BLANKLINE>
     [[3 4]]]
  """
  on = jnp.reshape(on, jnp.shape(on) + (1,) * (x.ndim - jnp.ndim(on)))
  return jnp.where(on, jnp.flip(x, 2), x)
