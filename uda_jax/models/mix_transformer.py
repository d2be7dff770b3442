"""Mix Transformer (MiT), the encoder of SegFormer (arXiv 2105.15203).

Modules have the names of the released PyTorch checkpoints. Maps stay
[B, H, W, D] throughout; the released code's tokens are their pixels in
row-major order.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import attention
from uda_jax.models import blocks
from uda_jax.models import layers

# The released code has PyTorch's default epsilon in the norms of the patch
# embeddings and inside attention, and its own in all others.
DEFAULT_EPS = 1e-5
BLOCK_EPS = 1e-6

REDUCTIONS = (8, 4, 2, 1)


class Variant(NamedTuple):
  """Channels and blocks of the four stages."""

  widths: tuple[int, ...]
  depths: tuple[int, ...]


WIDE = (64, 128, 320, 512)
VARIANTS = {
  'mit_b0': Variant((32, 64, 160, 256), (2, 2, 2, 2)),
  'mit_b1': Variant(WIDE, (2, 2, 2, 2)),
  'mit_b2': Variant(WIDE, (3, 4, 6, 3)),
  'mit_b3': Variant(WIDE, (3, 4, 18, 3)),
  'mit_b4': Variant(WIDE, (3, 8, 27, 3)),
  'mit_b5': Variant(WIDE, (3, 6, 40, 3)),
}


class Reduction(nn.Module):
  """A convolution of non-overlapping cells; incomplete cells are dropped."""

  size: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    size, width = self.size, x.shape[-1]
    store = layers.storage_dtype(self.dtype)
    zeros = nn.initializers.zeros
    kernel = self.param('kernel', zeros, (size, size, width, width), store)
    bias = self.param('bias', zeros, (width,), store)
    height, breadth = (n // size for n in x.shape[1:3])
    cells = x[:, : height * size, : breadth * size].reshape(
      x.shape[0], height, size, breadth, size, width
    )
    # One matrix product; a strided convolution is slow on CPUs.
    cells = cells.transpose(0, 1, 3, 2, 4, 5)
    cells = cells.reshape(x.shape[0], height, breadth, -1).astype(self.dtype)
    kernel = kernel.astype(self.dtype).reshape(-1, width)
    return cells @ kernel + bias.astype(self.dtype)


class Attention(nn.Module):
  """Attention of all pixels to the cells of a coarser grid.

  Attributes:
    heads: number of heads; each has an equal part of the channels, in order.
    reduction: side of a cell, in pixels.
    attention_rule: see `attention.attend`.
    dtype: compute dtype.
  """

  heads: int
  reduction: int
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    query = layers.dense(width, self.dtype, 'q')(x)
    if self.reduction > 1:
      x = Reduction(self.reduction, self.dtype, name='sr')(x)
      x = layers.layer_norm(DEFAULT_EPS, self.dtype, 'norm')(x)
    key, value = jnp.split(layers.dense(2 * width, self.dtype, 'kv')(x), 2, -1)

    def split_heads(y: jax.Array) -> jax.Array:
      return y.reshape(y.shape[0], -1, self.heads, width // self.heads)

    mixed = attention.attend(
      *map(split_heads, (query, key, value)),
      rule=self.attention_rule,
    )
    return layers.dense(width, self.dtype, 'proj')(mixed.reshape(query.shape))


class DepthwiseConv(nn.Module):
  """The 3x3 convolution, one level down as in the checkpoints' names."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return layers.DepthwiseConv(use_bias=True, dtype=self.dtype, name='dwconv')(
      x
    )


class MixFFN(nn.Module):
  """Two dense layers, a depthwise convolution and a GELU between them."""

  ratio: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    x = layers.dense(self.ratio * width, self.dtype, 'fc1')(x)
    x = DepthwiseConv(self.dtype, name='dwconv')(x)
    x = jax.nn.gelu(x, approximate=False)
    return layers.dense(width, self.dtype, 'fc2')(x)


class Block(nn.Module):
  """Attention and feed-forward beside identities; fields as of `Attention`."""

  heads: int
  reduction: int
  ratio: int = 4
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, uniform: jax.Array | None = None, rate=0.0
  ) -> jax.Array:
    """Returns [B, H, W, D], as `x`.

    Args:
      x: [B, H, W, D].
      uniform: [2, B], `blocks.drop_path`'s draws for the two branches; None: no
        branch is dropped.
      rate: `blocks.drop_path`'s rate.
    """
    norm = functools.partial(layers.layer_norm, BLOCK_EPS, self.dtype)
    branches = (
      lambda y: Attention(
        self.heads,
        self.reduction,
        self.attention_rule,
        self.dtype,
        name='attn',
      )(norm('norm1')(y)),
      lambda y: MixFFN(self.ratio, self.dtype, name='mlp')(norm('norm2')(y)),
    )
    for i, branch in enumerate(branches):
      y = branch(x)
      if uniform is not None:
        y = blocks.drop_path(y, uniform[i], rate=rate)
      x = x + y
    return x


class PatchEmbedding(nn.Module):
  """A strided convolution whose windows overlap, and a norm."""

  features: int
  kernel_size: int
  stride: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = layers.Conv(
      self.features,
      self.kernel_size,
      self.stride,
      use_bias=True,
      dtype=self.dtype,
      name='proj',
    )(x)
    return layers.layer_norm(DEFAULT_EPS, self.dtype, 'norm')(x)


class MixTransformer(nn.Module):
  """Mix Transformer: four stages of attention and Mix-FFN blocks.

  Attributes:
    widths: channels of the four stages.
    depths: blocks of the stages.
    heads: attention heads of the stages.
    reductions: sides of the cells that attention looks at.
    ratios: hidden channels of the feed-forward parts over the width.
    drop_path: `blocks.drop_path`'s rate of the last block; it grows from 0.
    remat: see `blocks.Blocks`.
    attention_rule: see `Attention`.
    dtype: compute dtype.
  """

  widths: Sequence[int]
  depths: Sequence[int]
  heads: Sequence[int] = (1, 2, 5, 8)
  reductions: Sequence[int] = REDUCTIONS
  ratios: Sequence[int] = (4, 4, 4, 4)
  drop_path: float = 0.1
  remat: bool = False
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool = True,
    deterministic: bool = True,
  ) -> tuple[jax.Array, ...]:
    """Returns the maps of the stages, at strides 4, 8, 16 and 32.

    Args:
      image: [B, H, W, C] normalized, at least 32 pixels a side.
      use_running_average: unused, there is no batch norm.
      deterministic: turns stochastic depth off.

    Returns:
      Four arrays [B, h, w, D]; each stride of 2 rounds an odd size up.
    """
    del use_running_average
    if min(image.shape[1:3]) < 32:
      raise ValueError(
        f'MixTransformer: image size {image.shape[1:3]}, expected at least '
        '32 pixels a side: below, the first attention has no cell to look at.'
      )
    rates = blocks.drop_path_rates(self.drop_path, self.depths)
    x, features = image, []
    for i in range(4):
      kernel_size, stride = (3, 2) if i else (7, 4)
      x = PatchEmbedding(
        self.widths[i],
        kernel_size,
        stride,
        self.dtype,
        name=f'patch_embed{i + 1}',
      )(x)
      make_block = functools.partial(
        Block,
        self.heads[i],
        self.reductions[i],
        self.ratios[i],
        self.attention_rule,
        self.dtype,
      )
      x = blocks.Blocks(
        make_block, tuple(rates[i]), self.remat, name=f'block{i + 1}'
      )(x, deterministic=deterministic)
      x = layers.layer_norm(BLOCK_EPS, self.dtype, f'norm{i + 1}')(x)
      features.append(x)
    return tuple(features)

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel, as released.

    N(0, 0.02^2) for dense layers, N(0, 2 / fan_out) for convolutions (fan-out
    of a depthwise one: of one channel).

    Args:
      path: of the kernel in the encoder's parameters.
      noise: standard normal, in the shape of the kernel.
    """
    del path
    if noise.ndim == 2:
      return 0.02 * noise
    height, width, inputs, features = noise.shape
    fan_out = height * width * (features if inputs > 1 else 1)
    return noise * math.sqrt(2 / fan_out)
