"""The vision transformers of DINOv3 (arXiv 2508.10104) as encoders.

DINOv2's with patches of 16, four register tokens, and positions that rotate
queries and keys (RoPE, arXiv 2104.09864) in place of learnt embeddings: any
image size is as good as another.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import attention
from uda_jax.models import dinov2
from uda_jax.models import layers
from uda_jax.models import vit_block

EPS = 1e-5
PATCH = 16
REGISTERS = 4
# Of the slowest rotation: the periods go from 1 to nearly this, in half images.
BASE = 100.0

VARIANTS = {
  'dinov3_s': dinov2.Variant(384, 12, REGISTERS),
  'dinov3_b': dinov2.Variant(768, 12, REGISTERS),
  'dinov3_l': dinov2.Variant(1024, 24, REGISTERS),
}


def angles(size: tuple[int, int], head_width: int) -> np.ndarray:
  """Returns the angles by which the channels of a head are rotated.

  Centers of patches lie in (-1, 1) on both axes. A quarter of the channels
  turns with the row, a quarter with the column, by 2 pi over periods of
  BASE ** (4 i / head_width); the other half repeats the first.

  Args:
    size: (rows, columns) of patches.
    head_width: channels of a head, a multiple of 4.

  Returns:
    [rows * columns, head_width] float64.
  """
  centers = [2 * (np.arange(n) + 0.5) / n - 1 for n in size]
  return angles_of([2 * math.pi * x for x in centers], head_width, BASE)


def angles_of(
  places: Sequence[np.ndarray], head_width: int, base: float
) -> np.ndarray:
  """Returns the places of patches over the periods of channels, see `angles`.

  Args:
    places: of the rows and of the columns, [rows] and [columns] float64.
    head_width: channels of a head, a multiple of 4.
    base: of the periods.

  Returns:
    [rows * columns, head_width] float64.
  """
  pairs = np.stack(np.meshgrid(*places, indexing='ij'), -1).reshape(-1, 2)
  periods = base ** (np.arange(head_width // 4) * 4 / head_width)
  half = pairs[:, :, None] / periods
  return np.tile(half.reshape(len(pairs), -1), 2)


def rotate(x: jax.Array, angle: np.ndarray) -> jax.Array:
  """Rotates the last tokens; those before them have no place in the image.

  Args:
    x: [B, T, H, N] float.
    angle: [P, N] of the last P tokens.

  Returns:
    [B, T, H, N].
  """
  first, patches = jnp.split(x, [x.shape[1] - len(angle)], 1)
  one, two = jnp.split(patches, 2, -1)
  cos, sin = (jnp.asarray(f(angle), x.dtype)[:, None] for f in (np.cos, np.sin))
  turned = patches * cos + jnp.concatenate([-two, one], -1) * sin
  return jnp.concatenate([first, turned], 1)


class Attention(nn.Module):
  """Attention of all tokens to all; keys have no bias.

  Attributes:
    heads: number of heads.
    size: (rows, columns) of patches, which are the last tokens.
    attention_rule: see `attention.attend`.
    dtype: compute dtype.
    out: name of the last layer.
  """

  heads: int
  size: tuple[int, int]
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32
  out: str = 'o_proj'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    batch, tokens, width = x.shape
    dense = functools.partial(layers.dense, width, self.dtype)
    query, key, value = (
      dense(f'{name}_proj', use_bias=name != 'k')(x).reshape(
        batch, tokens, self.heads, -1
      )
      for name in 'qkv'
    )
    mixed = attention.attend(
      self._rotated(query),
      self._rotated(key),
      value,
      rule=self.attention_rule,
    )
    return dense(self.out)(mixed.reshape(x.shape))

  def _rotated(self, x: jax.Array) -> jax.Array:
    """Returns queries or keys [B, T, H, N] with the patches' places."""
    return rotate(x, angles(self.size, x.shape[-1]))


class Block(vit_block.Block):
  """DINOv2's block with that attention.

  Attributes:
    size: see `Attention`.
  """

  eps: float = EPS
  size: tuple[int, int] = (0, 0)

  def _attention(self) -> nn.Module:
    return Attention(
      self.heads, self.size, self.attention_rule, self.dtype, name='attn'
    )


class DINOv3(dinov2.DINOv2):
  """Vision transformer of DINOv3; attributes as of DINOv2, `grid` is unused."""

  registers: int = REGISTERS
  patch: int = PATCH
  eps: float = EPS

  def _with_tokens(
    self, patches: jax.Array, size: tuple[int, int]
  ) -> jax.Array:
    """Returns class token, registers and patches, without positions."""
    del size
    store = layers.storage_dtype(self.dtype)
    counts = {'cls_token': 1, 'register_tokens': self.registers}
    start = nn.initializers.normal(1e-6)
    first = [
      self.param(name, start, (1, count, self.width), store)
      for name, count in counts.items()
    ]
    first = [
      jnp.broadcast_to(x, (len(patches), *x.shape[1:])).astype(self.dtype)
      for x in first
    ]
    return jnp.concatenate([*first, patches], 1)

  def _block(self, size: tuple[int, int]):
    """Returns the maker of a block for a grid of patches."""
    return functools.partial(
      Block,
      self.width // self.head_width,
      self.ratio,
      self.attention_rule,
      self.dtype,
      size=size,
    )
