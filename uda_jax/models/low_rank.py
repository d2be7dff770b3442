"""SoMA's split of a linear layer into a frozen and a trained part.

The components of the smallest singular values train, everything else is frozen
(arXiv 2412.04077). LoRA with another start.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class LowRank(NamedTuple):
  """The parts of a layer's weight, as PyTorch has them.

  Attributes:
    residual: [out, in], frozen.
    a: [rank, in], trained.
    b: [out, rank], trained.
    scale: factor of b @ a.
  """

  residual: jax.Array
  a: jax.Array
  b: jax.Array
  scale: float


def split(
  weight: jax.Array, *, rank: int, alpha: float, largest: bool = False
) -> LowRank:
  """Splits a weight by its singular values; the sum of the parts is the weight.

  Args:
    weight: [out, in] float.
    rank: number of components that train, at most min(out, in).
    alpha: `scale` is alpha / rank.
    largest: take the largest singular values instead of the smallest.

  Returns:
    The parts; the signs of a row of `a` and a column of `b` are arbitrary.

  Example:
    >>> parts = split(jnp.diag(jnp.array([3.0, 2.0])), rank=1, alpha=1.0)
    >>> print(jnp.abs(parts.b @ parts.a))
    [[0. 0.]
     [0. 2.]]
  """
  u, s, vt = jnp.linalg.svd(weight, full_matrices=False)
  take = slice(0, rank) if largest else slice(len(s) - rank, len(s))
  scale = alpha / rank
  root = jnp.sqrt(s[take] / scale)
  b, a = u[:, take] * root, root[:, None] * vt[take]
  return LowRank(weight - scale * (b @ a), a, b, scale)


def merge(parts: LowRank) -> jax.Array:
  """Returns the weight [out, in] of a layer's parts.

  Args:
    parts: arrays as of `LowRank`, [out, in], [rank, in] and [out, rank].
  """
  return parts.residual + parts.scale * (parts.b @ parts.a)
