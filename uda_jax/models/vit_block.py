"""The block of DINOv2's transformers: attention and a feed-forward part."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import attention
from uda_jax.models import blocks
from uda_jax.models import layers

EPS = 1e-6


class LayerScale(nn.Module):
  """A learnt factor for every channel."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    store = layers.storage_dtype(self.dtype)
    ones = nn.initializers.ones
    gamma = self.param('gamma', ones, (x.shape[-1],), store)
    return x * gamma.astype(self.dtype)


class Attention(nn.Module):
  """Attention of all tokens to all.

  Attributes:
    heads: number of heads; each has an equal part of the channels, in order.
    attention_rule: see `attention.attend`.
    dtype: compute dtype.
  """

  heads: int
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    batch, tokens, width = x.shape
    qkv = layers.dense(3 * width, self.dtype, 'qkv')(x)
    qkv = qkv.reshape(batch, tokens, 3, self.heads, width // self.heads)
    mixed = attention.attend(
      qkv[:, :, 0],
      qkv[:, :, 1],
      qkv[:, :, 2],
      rule=self.attention_rule,
    )
    return layers.dense(width, self.dtype, 'proj')(mixed.reshape(x.shape))


class MLP(nn.Module):
  """Two dense layers and a GELU between them."""

  ratio: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    x = layers.dense(self.ratio * width, self.dtype, 'fc1')(x)
    x = jax.nn.gelu(x, approximate=False)
    return layers.dense(width, self.dtype, 'fc2')(x)


class Block(nn.Module):
  """Attention and feed-forward, scaled, beside identities."""

  heads: int
  ratio: int = 4
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32
  eps: float = EPS

  @nn.compact
  def __call__(
    self, x: jax.Array, uniform: jax.Array | None = None, rate=0.0
  ) -> jax.Array:
    """Returns [B, T, D], as `x`; see `blocks.Blocks`."""
    parts = (self._attention(), MLP(self.ratio, self.dtype, name='mlp'))
    for i, part in enumerate(parts):
      y = layers.layer_norm(self.eps, self.dtype, f'norm{i + 1}')(x)
      y = LayerScale(self.dtype, name=f'ls{i + 1}')(part(y))
      if uniform is not None:
        y = blocks.drop_path(y, uniform[i], rate=rate)
      x = x + y
    return x

  def _attention(self) -> nn.Module:
    return Attention(self.heads, self.attention_rule, self.dtype, name='attn')
