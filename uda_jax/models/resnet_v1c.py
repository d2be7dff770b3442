"""ResNet-v1c, the encoder of DAFormer's DeepLab-v2 runs, as in mmseg.

Three 3x3 convolutions in place of the stem's 7x7 (arXiv 1812.01187, model C),
strides on the 3x3 of the bottlenecks, stages 3 and 4 dilated (output stride
8), with the first block of a dilated stage dilated by half. Modules carry the
names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers
from uda_jax.models import pooling
from uda_jax.models import resnet

STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)

# Blocks of the four stages.
VARIANTS = {
  'resnet50_v1c': (3, 4, 6, 3),
  'resnet101_v1c': (3, 4, 23, 3),
}


class Stem(nn.Module):
  """Three convolutions with batch norm and ReLU: '0', '3', '6' and their norms.

  Attributes:
    features: channels of the output; the first two have half as many.
    dtype: compute dtype.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    widths = (self.features // 2, self.features // 2, self.features)
    for i, width in enumerate(widths):
      conv = layers.Conv(
        width, 3, 1 if i else 2, dtype=self.dtype, name=str(3 * i)
      )
      norm = layers.BatchNorm(dtype=self.dtype, name=str(3 * i + 1))
      x = nn.relu(norm(conv(x), use_running_average=use_running_average))
    return x


class ResNetV1c(nn.Module):
  """ResNet-v1c with dilated stages 3 and 4.

  Attributes:
    blocks: bottlenecks of each stage.
    stem: channels of the stem.
    planes: width of the bottlenecks of each stage (outputs are 4 times it).
    remat: recomputes each block in the backward pass instead of keeping its
      activations.
    dtype: compute dtype.
  """

  blocks: Sequence[int]
  stem: int = 64
  planes: Sequence[int] = (64, 128, 256, 512)
  remat: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> tuple[jax.Array, ...]:
    """Returns the maps of the stages, at strides 4, 8, 8 and 8.

    Args:
      image: [B, H, W, C] normalized, any size.
      use_running_average: batch norm's switch.
      deterministic: unused, there is no dropout.

    Returns:
      Four arrays [B, h, w, D]; each stride of 2 rounds an odd size up.
    """
    del deterministic
    x = Stem(self.stem, self.dtype, name='stem')(
      image, use_running_average=use_running_average
    )
    x = pooling.max_pool(x, size=3, stride=2, padding=1)
    features = []
    for i, dilation in enumerate(DILATIONS):
      x = resnet.Stage(
        self.blocks[i],
        self.planes[i],
        STRIDES[i],
        dilation,
        self.dtype,
        self.remat,
        first_dilation=max(dilation // 2, 1),
        stride_on_3x3=True,
        name=f'layer{i + 1}',
      )(x, use_running_average=use_running_average)
      features.append(x)
    return tuple(features)

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel: Kaiming's normal by fan-out.

    Args:
      path: of the kernel in the encoder's parameters.
      noise: standard normal, in the shape of the kernel.
    """
    del path
    height, width, _, features = noise.shape
    return noise * math.sqrt(2 / (height * width * features))
