"""VFM-UDA++'s decoder of four maps, from coarse to fine.

Modules and parameters carry the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers

# Released code: weight of a batch's statistics in the running ones.
MOMENTUM = 0.01
# Released code: standard deviation of the classifier's initial kernel.
CLASSIFIER_STD = 0.1


class Upscale(nn.Module):
  """From maps at strides 4 to 32 to one at stride 4, D / 8 channels."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, features: Sequence[jax.Array], *, use_running_average: bool
  ) -> jax.Array:
    width = features[-1].shape[-1]
    conv = lambda channels, size, name: layers.Conv(
      channels, size, use_bias=True, dtype=self.dtype, name=name
    )
    x = features[-1]
    for i, lateral in enumerate(reversed(features[:-1]), 1):
      channels = width // 2**i
      x = layers.Upsample(
        channels, use_bias=True, dtype=self.dtype, name=f'up_conv{i}'
      )(x)
      x = x + conv(channels, 1, f'reduce_conv{i}')(lateral)
      x = conv(channels, 3, f'smooth_conv{i}')(x)
      norm = layers.BatchNorm(MOMENTUM, dtype=self.dtype, name=f'norm{i}')
      x = nn.relu(norm(x, use_running_average=use_running_average))
    last = len(features)
    return conv(width // 2 ** (last - 1), 3, f'smooth_conv{last}')(x)


class PyramidHead(nn.Module):
  """Upscales and adds four maps from coarse to fine, and classifies.

  Attributes:
    num_classes: classes of the logits.
    dtype: compute dtype.
  """

  num_classes: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> tuple[jax.Array, jax.Array]:
    """Returns logits and the map they are made of, at the first map's size.

    Args:
      features: four maps [B, h_s, w_s, D], each half the one before.
      use_running_average: batch norm's switch.
      deterministic: unused, there is no dropout.
    """
    del deterministic
    x = Upscale(self.dtype, name='upscale')(
      features, use_running_average=use_running_average
    )
    logits = layers.Conv(self.num_classes, 1, dtype=self.dtype, name='out')(x)
    return logits.astype(layers.storage_dtype(self.dtype)), x

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns Kaiming's uniform start (ReLU), N(0, 0.1^2) for the classifier.

    PyTorch counts the inputs of a transposed convolution by the first axis of
    its kernel for 'fan_out', which the released code asks for.
    """
    if path[0] == 'out':
      return CLASSIFIER_STD * noise
    uniform = jax.scipy.special.erf(noise / math.sqrt(2))
    fan = math.prod(noise.shape[:-1])
    if path[-2].startswith('up_conv'):
      fan = 4 * noise.shape[-1]
    return uniform * math.sqrt(6 / fan)
