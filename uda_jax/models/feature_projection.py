"""VFM-UDA++'s projection of features onto those of a frozen network.

Modules and parameters carry the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers

EPS = 1e-6


class _Layers(nn.Module):
  """The layers '0', '1' and '3'; a GELU is between the last two."""

  channels: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    conv = lambda channels, name: layers.Conv(
      channels, 1, use_bias=True, dtype=self.dtype, name=name
    )
    x = conv(4 * x.shape[-1], '0')(x)
    x = layers.layer_norm(EPS, self.dtype, '1')(x)
    return conv(self.channels, '3')(jax.nn.gelu(x, approximate=False))


class FeatureProjection(nn.Module):
  """See the module's docstring.

  Attributes:
    channels: of the frozen network's features.
    dtype: compute dtype.
  """

  channels: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    feature: jax.Array,
    *,
    use_running_average: bool = True,
    deterministic: bool = True,
  ) -> jax.Array:
    """Returns [B, h, w, channels].

    Args:
      feature: [B, h, w, D] float.
      use_running_average: unused, there is no batch norm.
      deterministic: unused, there is no dropout.
    """
    del use_running_average, deterministic
    return _Layers(self.channels, self.dtype, name='feat_project')(feature)
