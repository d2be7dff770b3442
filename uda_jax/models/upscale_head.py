"""VFM-UDA's light decoder: upscales the last features of a transformer.

Modules and parameters carry the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import extra_heads
from uda_jax.models import layers

EPS = 1e-6
# Released code: standard deviation of the classifier's initial kernel.
CLASSIFIER_STD = 0.1


class Upscale(nn.Module):
  """From [B, h, w, D] to [B, 4 h, 4 w, D / 4]; a single GELU."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    half, quarter = x.shape[-1] // 2, x.shape[-1] // 4
    x = layers.Upsample(half, dtype=self.dtype, name='0')(x)
    x = layers.layer_norm(EPS, self.dtype, '1')(x)
    x = jax.nn.gelu(x, approximate=False)
    x = layers.Upsample(quarter, dtype=self.dtype, name='3')(x)
    x = layers.layer_norm(EPS, self.dtype, '4')(x)
    x = layers.Conv(quarter, 3, dtype=self.dtype, name='5')(x)
    return layers.layer_norm(EPS, self.dtype, '6')(x)


class UpscaleHead(nn.Module):
  """Upscales the last map of a transformer by 4, and classifies.

  Attributes:
    num_classes: classes of the logits.
    dtype: compute dtype.
  """

  num_classes: int
  dtype: Any = jnp.float32

  def setup(self):
    self.upscale = Upscale(self.dtype)
    self.out = layers.Conv(self.num_classes, 1, dtype=self.dtype)

  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool = True,
    deterministic: bool = True,
  ) -> tuple[jax.Array, jax.Array]:
    """Returns logits and the map they are made of, at 4 times the features.

    Args:
      features: [B, h, w, D], the last is read; D is a multiple of 4.
      use_running_average: unused, there is no batch norm.
      deterministic: unused, there is no dropout.
    """
    del use_running_average, deterministic
    x = self.upscale(features[-1])
    logits = self.out(x)
    return logits.astype(layers.storage_dtype(self.dtype)), x

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns PyTorch's default, or N(0, 0.1^2) for the classifier."""
    if path[0] == 'out':
      return CLASSIFIER_STD * noise
    return extra_heads.kernel_init(path, noise)
