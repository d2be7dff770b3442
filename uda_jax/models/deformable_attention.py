"""The deformable attention of the ViT-Adapter (arXiv 2205.08534)."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import layers
from uda_jax.ops import deformable_attention


def offset_bias(heads: int, levels: int, points: int) -> np.ndarray:
  """Returns the initial bias of the sampling offsets.

  Head k looks in the direction k * 2 pi / heads, point i at i + 1 cells.

  Returns:
    [heads * levels * points * 2] float64.
  """
  angle = np.arange(heads) * (2 * math.pi / heads)
  direction = np.stack([np.cos(angle), np.sin(angle)], -1)
  direction /= np.abs(direction).max(-1, keepdims=True)
  steps = np.arange(1, points + 1)
  bias = direction[:, None, None] * steps[:, None]
  return np.broadcast_to(bias, (heads, levels, points, 2)).reshape(-1)


class DeformableAttention(nn.Module):
  """Attention of queries to a few samples of several maps.

  Attributes:
    heads: attention heads.
    points: samples of each head and map.
    ratio: channels of the values over those of the queries.
    dtype: compute dtype.
  """

  heads: int
  points: int = 4
  ratio: float = 0.5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    query: jax.Array,
    reference: np.ndarray,
    tokens: jax.Array,
    shapes: Sequence[tuple[int, int]],
  ) -> jax.Array:
    """Returns [B, Q, D].

    Args:
      query: [B, Q, D] float.
      reference: [Q, 2] (x, y) in [0, 1], the same for all maps.
      tokens: [B, N, D] float, the cells of all maps, row by row.
      shapes: (rows, columns) of each map.
    """
    batch, queries, width = query.shape
    sizes = (self.heads, len(shapes), self.points)
    count = math.prod(sizes)
    start = lambda key, shape, dtype: jnp.asarray(
      offset_bias(*sizes).reshape(shape), dtype
    )
    dense = lambda n, name, **k: layers.dense(n, self.dtype, name, **k)
    offset = dense(2 * count, 'sampling_offsets', bias_init=start)(query)
    offset = offset.reshape(batch, queries, *sizes, 2)
    weight = dense(count, 'attention_weights')(query)
    weight = jax.nn.softmax(weight.reshape(batch, queries, self.heads, -1))
    inner = int(self.ratio * width)
    value = dense(inner, 'value_proj')(tokens)
    # (x, y): columns, then rows. Places need more than 16 bits.
    cells = np.array(shapes)[:, ::-1]
    offset = offset.astype(layers.storage_dtype(self.dtype))
    location = jnp.asarray(reference, offset.dtype)[:, None, None, None]
    location = location + offset / cells[:, None].astype(offset.dtype)
    value = value.reshape(batch, -1, self.heads, inner // self.heads)
    mixed = deformable_attention.sample(
      value, shapes, location, weight.reshape(batch, queries, *sizes)
    )
    return dense(width, 'output_proj')(mixed)
