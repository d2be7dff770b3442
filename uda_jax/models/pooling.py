"""Maximum pooling with PyTorch's conventions."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp


def max_pool(
  x: jax.Array, *, size: int, stride: int, padding: int, ceil: bool = False
) -> jax.Array:
  """Returns the maximum over square windows, as PyTorch's `MaxPool2d`.

  It is a chain of shifted maxima, whose gradient is plain additions: that of
  `reduce_window` is a select-and-scatter, which is slow and, on GPUs, not
  deterministic. Among equal values the first takes the gradient, and a NaN
  in the window is passed on, both as in PyTorch.

  Args:
    x: [B, H, W, C] float.
    size: side of the window.
    stride: step of the window.
    padding: rows and columns of -inf on every side.
    ceil: rounds the output size up; the last window must begin inside the
      image or its leading padding.
  """
  height, width = (
    _pooled_size(n, size, stride, padding, ceil) for n in x.shape[1:3]
  )
  after = [
    max((out - 1) * stride + size - padding - n, 0)
    for out, n in zip((height, width), x.shape[1:3])
  ]
  x = jnp.pad(
    x,
    ((0, 0), (padding, after[0]), (padding, after[1]), (0, 0)),
    constant_values=-jnp.inf,
  )
  rows, columns = (
    [slice(i, i + (n - 1) * stride + 1, stride) for i in range(size)]
    for n in (height, width)
  )
  taps = [x[:, down, right] for down in rows for right in columns]
  return functools.reduce(_larger, taps)


def _larger(best: jax.Array, new: jax.Array) -> jax.Array:
  """Returns the larger; of equals the first, of NaN and a number NaN."""
  return jnp.where((new > best) | jnp.isnan(new), new, best)


def _pooled_size(n: int, size: int, stride: int, padding: int, ceil: bool):
  span = n + 2 * padding - size
  if not ceil:
    return span // stride + 1
  out = -(-span // stride) + 1
  return out - 1 if (out - 1) * stride >= n + padding else out
