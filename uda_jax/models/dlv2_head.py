"""DeepLab-v2's classifier as a head of mmseg (arXiv 1606.00915).

Modules have the names of DAFormer's released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers

KERNEL_STD = 0.01


class Branch(nn.Module):
  """A dilated 3x3 convolution, one level down as in the checkpoints' names."""

  features: int
  dilation: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return layers.Conv(
      self.features,
      3,
      dilation=self.dilation,
      use_bias=True,
      dtype=self.dtype,
      name='conv',
    )(x)


class Branches(nn.Module):
  """The sum of the branches '0', '1', ..."""

  features: int
  dilations: Sequence[int]
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    maps = [
      Branch(self.features, dilation, self.dtype, name=str(i))(x)
      for i, dilation in enumerate(self.dilations)
    ]
    return sum(maps[1:], start=maps[0])


class DLV2Head(nn.Module):
  """DeepLab-v2's classifier on the last stage.

  Attributes:
    num_classes: classes of the logits.
    dilations: of the branches; (6, 12) in every published run of DAFormer's
      line, (6, 12, 18, 24) in the paper.
    dtype: compute dtype.
  """

  num_classes: int
  dilations: Sequence[int] = (6, 12)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> tuple[jax.Array, jax.Array]:
    """Classifies the last stage.

    Args:
      features: [B, h_s, w_s, D_s] of each stage, finest first.
      use_running_average: unused, there is no batch norm.
      deterministic: unused, there is no dropout.

    Returns:
      [B, h, w, num_classes] logits, and the last stage itself.
    """
    del use_running_average, deterministic
    x = features[-1]
    logits = Branches(
      self.num_classes, self.dilations, self.dtype, name='aspp_modules'
    )(x)
    return logits.astype(layers.storage_dtype(self.dtype)), x

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel: N(0, 0.01^2), as released.

    Args:
      path: of the kernel in the head's parameters.
      noise: standard normal, in the shape of the kernel.
    """
    del path
    return KERNEL_STD * noise
