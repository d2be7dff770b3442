"""Residual stages of ResNets, in the style of Caffe by default.

In Caffe's, the stride is on a block's first 1x1 convolution, and all blocks
of a stage are dilated alike; PyTorch's have it on the 3x3, and mmseg's dilate
the first block of a stage less. Modules have the names of the released PyTorch
checkpoints, which all variants share.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers


class Downsample(nn.Module):
  """The projection shortcut: '0' is the convolution, '1' its batch norm."""

  features: int
  stride: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    x = layers.Conv(self.features, 1, self.stride, dtype=self.dtype, name='0')(
      x
    )
    return layers.BatchNorm(dtype=self.dtype, name='1')(
      x, use_running_average=use_running_average
    )


class Bottleneck(nn.Module):
  """1x1, 3x3 and 1x1 beside a shortcut; one of the first two is strided."""

  planes: int
  stride: int = 1
  dilation: int = 1
  project: bool = False
  dtype: Any = jnp.float32
  stride_on_3x3: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, use_running_average: bool) -> jax.Array:
    def conv(
      x: jax.Array,
      i: int,
      features: int,
      size: int,
      stride: int = 1,
      dilation: int = 1,
    ) -> jax.Array:
      module = layers.Conv(
        features, size, stride, dilation, dtype=self.dtype, name=f'conv{i}'
      )
      return layers.BatchNorm(dtype=self.dtype, name=f'bn{i}')(
        module(x), use_running_average=use_running_average
      )

    features = 4 * self.planes
    strides = (self.stride, 1)
    if self.stride_on_3x3:
      strides = (1, self.stride)
    y = nn.relu(conv(x, 1, self.planes, 1, strides[0]))
    y = nn.relu(conv(y, 2, self.planes, 3, strides[1], self.dilation))
    y = conv(y, 3, features, 1)
    if self.project:
      x = Downsample(features, self.stride, self.dtype, name='downsample')(
        x, use_running_average=use_running_average
      )
    return nn.relu(x + y)


class Stage(nn.Module):
  """Bottlenecks named '0', '1', ...; the first one projects its shortcut.

  Attributes:
    num_blocks: how many.
    planes: their width; the output has 4 times as many channels.
    stride: of the first one.
    dilation: of their 3x3 convolutions.
    dtype: compute dtype.
    remat: recomputes each block in the backward pass.
    first_dilation: that of the first one, where it differs.
    stride_on_3x3: the first one's stride is on its 3x3 convolution.
  """

  num_blocks: int
  planes: int
  stride: int
  dilation: int
  dtype: Any = jnp.float32
  remat: bool = False
  first_dilation: int | None = None
  stride_on_3x3: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    block = (
      nn.remat(Bottleneck, static_argnums=(2,)) if self.remat else Bottleneck
    )
    first_dilation = self.first_dilation or self.dilation
    for i in range(self.num_blocks):
      x = block(
        self.planes,
        self.stride if i == 0 else 1,
        first_dilation if i == 0 else self.dilation,
        i == 0,
        self.dtype,
        self.stride_on_3x3,
        name=str(i),
      )(x, use_running_average)
    return x
