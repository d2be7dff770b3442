"""A small encoder-decoder that learns from scratch on a CPU.

U-shaped, 3x3 convolutions, widths 32-48-64-96 at strides 2 to 16, residual
pairs, a global pooling branch, logits at half the input size, about 0.5 M
parameters. It has no dropout: `key` changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import extra_heads
from uda_jax.models import layers
from uda_jax.models import network
from uda_jax.models import preprocessing
from uda_jax.models import weights
from uda_jax.models.weights import state_dict
from uda_jax.ops import resize


class ConvNorm(nn.Module):
  """Convolution, batch norm and, unless `linear`, ReLU."""

  features: int
  kernel_size: int = 3
  stride: int = 1
  linear: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    x = layers.Conv(
      self.features,
      self.kernel_size,
      stride=self.stride,
      dtype=self.dtype,
      name='conv',
    )(x)
    x = layers.BatchNorm(dtype=self.dtype, name='norm')(
      x, use_running_average=use_running_average
    )
    return x if self.linear else nn.relu(x)


class ResidualPair(nn.Module):
  """Two 3x3 convolutions beside an identity."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    y = ConvNorm(self.features, dtype=self.dtype, name='first')(
      x, use_running_average=use_running_average
    )
    y = ConvNorm(self.features, linear=True, dtype=self.dtype, name='second')(
      y, use_running_average=use_running_average
    )
    return nn.relu(x + y)


class Compact(nn.Module):
  """U-shaped network with residual pairs and a global pooling branch.

  Attributes:
    num_classes: classes of the logits.
    widths: channels at strides 2, 4, 8, ...
    dtype: compute dtype.
  """

  num_classes: int
  widths: Sequence[int] = (32, 48, 64, 96)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> types.Outputs:
    """Returns logits at half size and the features of the encoder.

    maps: `fused`, the input of the classifier.

    Args:
      image: [B, H, W, C] normalized; any size.
      use_running_average: batch norm's switch.
      deterministic: unused, there is no dropout.
    """
    del deterministic
    features = []
    x = image.astype(self.dtype)
    for i, width in enumerate(self.widths):
      x = ConvNorm(width, stride=2, dtype=self.dtype, name=f'down{i}')(
        x, use_running_average=use_running_average
      )
      x = ResidualPair(width, dtype=self.dtype, name=f'pair{i}')(
        x, use_running_average=use_running_average
      )
      features.append(x)
    x = self._add_global_branch(x)
    for i in reversed(range(len(self.widths) - 1)):
      width, skip = self.widths[i], features[i]
      x = layers.Conv(width, 1, dtype=self.dtype, name=f'project{i}')(x)
      x = skip + resize.bilinear(x, skip.shape[1:3])
      x = ConvNorm(width, dtype=self.dtype, name=f'up{i}')(
        x, use_running_average=use_running_average
      )
    logits = layers.Conv(
      self.num_classes, 1, use_bias=True, dtype=self.dtype, name='classifier'
    )(x)
    return types.Outputs(
      logits=logits.astype(layers.storage_dtype(self.dtype)),
      features=tuple(features),
      maps={'fused': x},
    )

  def _add_global_branch(self, x: jax.Array) -> jax.Array:
    # No batch norm here: with one image a batch it would return zeros.
    pooled = jnp.mean(x, (1, 2), keepdims=True)
    pooled = layers.Conv(
      x.shape[-1], 1, use_bias=True, dtype=self.dtype, name='pooled'
    )(pooled)
    return x + nn.relu(pooled)


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds the compact network from `config.model`.

  No own fields; `heads` (if given), see `extra_heads.build`.
  `weights` is '' or a file of all its tensors, as `state_dict.export` names
  them.
  """
  module = Compact(num_classes, dtype=network.compute_dtype(config))
  return network.from_module(
    module,
    preprocessing.IMAGENET.configured(config),
    heads=extra_heads.build(config),
  )


def importer(config: types.Config) -> weights.Importer | None:
  """Returns the importer of `config.model.weights`, None for ''."""
  if not config.weights:
    return None
  return weights.Importer(
    config.weights,
    'IMAGENET',
    lambda tensors: (tensors, state_dict.dotted),
  )
