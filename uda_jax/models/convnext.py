"""ConvNeXt (arXiv 2201.03545) as an encoder, in the sizes of DINOv3's files.

DINOv3 (arXiv 2508.10104) distills its largest transformer into four of them.
Modules and parameters have the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import blocks
from uda_jax.models import layers
from uda_jax.ops import resize

EPS = 1e-6
# Sides of the cells of the four downsampling convolutions, and of all of them.
CELLS = (4, 2, 2, 2)
STRIDE = 32
# Initial factor of a block's channels: blocks begin as identities.
LAYER_SCALE = 1e-6


class Variant(NamedTuple):
  """Channels and blocks of the four stages."""

  widths: tuple[int, ...]
  depths: tuple[int, ...]


VARIANTS = {
  'dinov3_convnext_tiny': Variant((96, 192, 384, 768), (3, 3, 9, 3)),
  'dinov3_convnext_small': Variant((96, 192, 384, 768), (3, 3, 27, 3)),
  'dinov3_convnext_base': Variant((128, 256, 512, 1024), (3, 3, 27, 3)),
  'dinov3_convnext_large': Variant((192, 384, 768, 1536), (3, 3, 27, 3)),
  # The smallest size of the family (arXiv 2301.00808); DINOv3 has no file.
  'convnext_atto': Variant((40, 80, 160, 320), (2, 2, 6, 2)),
}


class Block(nn.Module):
  """7x7 depthwise convolution, norm, two dense layers, beside an identity."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, uniform: jax.Array | None = None, rate=0.0
  ) -> jax.Array:
    """Returns [B, H, W, D], as `x`; see `blocks.Blocks`.

    Args:
      x: [B, H, W, D].
      uniform: [2, B], draws of which the one branch takes the first.
      rate: `blocks.drop_path`'s rate.
    """
    width = x.shape[-1]
    y = layers.DepthwiseConv(7, use_bias=True, dtype=self.dtype, name='dwconv')(
      x
    )
    y = layers.layer_norm(EPS, self.dtype, 'norm')(y)
    y = layers.dense(4 * width, self.dtype, 'pwconv1')(y)
    y = jax.nn.gelu(y, approximate=False)
    y = layers.dense(width, self.dtype, 'pwconv2')(y)
    start = nn.initializers.constant(LAYER_SCALE)
    store = layers.storage_dtype(self.dtype)
    gamma = self.param('gamma', start, (width,), store)
    y = y * gamma.astype(self.dtype)
    if uniform is not None:
      y = blocks.drop_path(y, uniform[0], rate=rate)
    return x + y


class Downsample(nn.Module):
  """A convolution of whole cells, and a norm after it (first) or before it.

  Attributes:
    features: channels of the output.
    cell: side of a cell in pixels.
    first: whether the norm comes last.
    dtype: compute dtype.
  """

  features: int
  cell: int
  first: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    conv = functools.partial(
      layers.Conv,
      self.features,
      self.cell,
      self.cell,
      padding=0,
      use_bias=True,
      dtype=self.dtype,
    )
    if self.first:
      return layers.layer_norm(EPS, self.dtype, '1')(conv(name='0')(x))
    return conv(name='1')(layers.layer_norm(EPS, self.dtype, '0')(x))


class _Downsamples(nn.Module):
  """The downsampling of the stages, named '0', '1', ...; called for each."""

  widths: Sequence[int]
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, i: int) -> jax.Array:
    return Downsample(
      self.widths[i], CELLS[i], i == 0, self.dtype, name=str(i)
    )(x)


class _Stages(nn.Module):
  """The blocks of the stages, named '0', '1', ...; called for each."""

  rates: Sequence[Sequence[float]]
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, i: int, deterministic: bool) -> jax.Array:
    make_block = functools.partial(Block, self.dtype)
    return blocks.Blocks(make_block, self.rates[i], self.remat, name=str(i))(
      x, deterministic=deterministic
    )


class ConvNeXt(nn.Module):
  """ConvNeXt: four stages of depthwise convolutions and dense layers.

  Attributes:
    widths: channels of the four stages.
    depths: blocks of the stages.
    drop_path: `blocks.drop_path`'s rate of the last block; it grows from 0.
    remat: see `blocks.Blocks`.
    dtype: compute dtype.
  """

  widths: Sequence[int]
  depths: Sequence[int]
  drop_path: float = 0.0
  remat: bool = False
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

    An image is resized (bilinear, half-pixel centers) up to whole cells of 32
    pixels, so that the maps cover exactly the image; the released code leaves
    out what is beyond the last whole cell.

    Args:
      image: [B, H, W, C] normalized, any size.
      use_running_average: unused, there is no batch norm.
      deterministic: turns stochastic depth off.

    Returns:
      Four arrays [B, h, w, D], the last after the network's norm, as DINOv3's
      own `get_intermediate_layers` gives them.
    """
    del use_running_average
    size = tuple(STRIDE * -(-n // STRIDE) for n in image.shape[1:3])
    x, features = resize.bilinear(image, size), []
    rates = blocks.drop_path_rates(self.drop_path, self.depths)
    downsample = _Downsamples(
      tuple(self.widths), self.dtype, name='downsample_layers'
    )
    stages = _Stages(
      tuple(map(tuple, rates)), self.remat, self.dtype, name='stages'
    )
    for i in range(len(self.depths)):
      x = stages(downsample(x, i), i, deterministic)
      features.append(x)
    features[-1] = layers.layer_norm(EPS, self.dtype, 'norm')(x)
    return tuple(features)

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel: N(0, 0.02^2).

    Args:
      path: of the kernel in the encoder's parameters.
      noise: standard normal, in the shape of the kernel.
    """
    del path
    return 0.02 * noise
