"""The vision transformers of EVA-02 (arXiv 2303.11331) as encoders.

DINOv2's frame with rotated queries and keys (RoPE, arXiv 2104.09864) beside the
learnt positions, a gated feed-forward part (SwiGLU, arXiv 2002.05202) and, in
the larger sizes, a norm inside it (sub-LN, arXiv 2210.06423). Modules and
parameters have the names of timm's files.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import attention
from uda_jax.models import blocks
from uda_jax.models import dinov2
from uda_jax.models import dinov3
from uda_jax.models import layers
from uda_jax.models import position_embedding
from uda_jax.models import vit_block

# Of the slowest rotation, see `angles`.
BASE = 10_000.0
# Side of the grid that rotations count in: 224 pixels of pre-training.
TRAINED = 16
# Hidden channels of the feed-forward part over the width.
RATIO = 4 * 2 / 3


class Variant(NamedTuple):
  """Channels, blocks, side of the stored grid, whether it has sub-LN."""

  width: int
  depth: int
  grid: int
  sub_norm: bool


# An ending is the size of the images of a file that was fine-tuned.
VARIANTS = {
  'eva02_tiny': Variant(192, 12, 16, False),
  'eva02_small': Variant(384, 12, 16, False),
  'eva02_base': Variant(768, 12, 16, True),
  'eva02_large': Variant(1024, 24, 16, True),
  'eva02_tiny_336': Variant(192, 12, 24, False),
  'eva02_small_336': Variant(384, 12, 24, False),
  'eva02_base_448': Variant(768, 12, 32, True),
  'eva02_large_448': Variant(1024, 24, 32, True),
}


def angles(size: tuple[int, int], head_width: int) -> np.ndarray:
  """Returns the angles by which the channels of a head are rotated.

  Patches lie in [0, 16) on both axes, few or many. A quarter of the
  channels turns with the row, a quarter with the column, by the place over
  BASE ** (4 i / head_width); the other half repeats the first.

  Args:
    size: (rows, columns) of patches.
    head_width: channels of a head, a multiple of 4.

  Returns:
    [rows * columns, head_width] float64.
  """
  places = [TRAINED * np.arange(n) / n for n in size]
  return dinov3.angles_of(places, head_width, BASE)


class Attention(dinov3.Attention):
  """Attention of all tokens to all; neighboring channels turn together."""

  out: str = 'proj'

  def _rotated(self, x: jax.Array) -> jax.Array:
    # Queries and keys alike: pairs of neighbors become pairs of halves.
    x = jnp.concatenate([x[..., ::2], x[..., 1::2]], -1)
    return dinov3.rotate(x, angles(self.size, x.shape[-1]))


class SwiGLU(nn.Module):
  """Dense layers of which one gates the other, and a dense layer.

  Attributes:
    sub_norm: whether a norm is before the last.
    dtype: compute dtype.
  """

  sub_norm: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    hidden = int(width * RATIO)
    gate = layers.dense(hidden, self.dtype, 'fc1_g')(x)
    y = jax.nn.silu(gate) * layers.dense(hidden, self.dtype, 'fc1_x')(x)
    if self.sub_norm:
      y = layers.layer_norm(vit_block.EPS, self.dtype, 'norm')(y)
    return layers.dense(width, self.dtype, 'fc2')(y)


class Block(nn.Module):
  """Attention and feed-forward beside identities; fields as of the parts."""

  heads: int
  size: tuple[int, int]
  sub_norm: bool
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, uniform: jax.Array | None = None, rate=0.0
  ) -> jax.Array:
    """Returns [B, T, D], as `x`; see `blocks.Blocks`."""
    parts = (
      Attention(
        self.heads, self.size, self.attention_rule, self.dtype, name='attn'
      ),
      SwiGLU(self.sub_norm, self.dtype, name='mlp'),
    )
    for i, part in enumerate(parts):
      norm = layers.layer_norm(vit_block.EPS, self.dtype, f'norm{i + 1}')
      y = part(norm(x))
      if uniform is not None:
        y = blocks.drop_path(y, uniform[i], rate=rate)
      x = x + y
    return x


class EVA02(dinov2.DINOv2):
  """Vision transformer of EVA-02; `registers`, `ratio` and `eps` are unused.

  Further attributes:
    sub_norm: see `SwiGLU`.
  """

  grid: int = TRAINED
  sub_norm: bool = True

  def _block(self, size: tuple[int, int]):
    """Returns the maker of a block for a grid of patches."""
    return functools.partial(
      Block,
      self.width // self.head_width,
      size,
      self.sub_norm,
      self.attention_rule,
      self.dtype,
    )

  def _positions(self, stored: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Returns [h * w, D] positions: bicubic and antialiased, as timm does."""
    if size == (self.grid, self.grid):
      return stored
    grid = stored.reshape(self.grid, self.grid, self.width)
    resampled = position_embedding.resample(
      grid, size, offset=0.0, antialias=True
    )
    return resampled.reshape(-1, self.width)
