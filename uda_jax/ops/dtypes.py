"""Checks of dtypes, where another one would give a wrong result silently."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def check_float(
  x: jax.Array, *, name: str, advice: str = 'convert images first'
) -> None:
  """Raises TypeError for integers, which would wrap around or round to 0.

  Args:
    x: [...], any dtype.
    name: of the argument, for the message.
    advice: the way out.

  Example:
    >>> check_float(jnp.zeros(2, jnp.uint8), name='image')
    Traceback (most recent call last):
    TypeError: image: expected a float array, got uint8; convert images first
  """
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise TypeError(f'{name}: expected a float array, got {x.dtype}; {advice}')


def check_integers(x: jax.Array, *, name: str) -> None:
  """Raises TypeError unless an array is of whole numbers of 32 bits or more.

  Differences and weighted sums of pixels wrap around in fewer bits.

  Args:
    x: [...], any dtype.
    name: of the argument, for the message.

  Example:
    >>> check_integers(jnp.zeros(2, jnp.uint8), name='pixels')
    Traceback (most recent call last):
    TypeError: pixels: expected int32 in 0..255, got uint8; use astype
  """
  if not jnp.issubdtype(x.dtype, jnp.signedinteger) or x.dtype.itemsize < 4:
    raise TypeError(
      f'{name}: expected int32 in 0..255, got {x.dtype}; use astype'
    )


def check_bytes(x: jax.Array, *, name: str) -> None:
  """Raises TypeError unless an array is uint8: floats would be cut off.

  Args:
    x: [...], any dtype.
    name: of the argument, for the message.

  Example:
    >>> check_bytes(jnp.zeros(2), name='pixels')
    Traceback (most recent call last):
    TypeError: pixels: expected uint8 in 0..255, got float32; round them first
  """
  if x.dtype != jnp.uint8:
    raise TypeError(
      f'{name}: expected uint8 in 0..255, got {x.dtype}; round them first'
    )
