"""VFM-UDA++'s projection of features onto those of a frozen network.

Modules and parameters carry the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

import flax.linen as nn
import jax

from uda_jax.models import layers

EPS = 1e-6


class _Layers(nn.Module):
  """The layers '0', '1' and '3'; a GELU is between the last two."""

  channels: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    def conv(channels, x, name):
      # PyTorch's default start.
      bound = x.shape[-1] ** -0.5
      start = lambda key, shape, dtype: jax.random.uniform(
        key, shape, dtype, -bound, bound
      )
      return layers.Conv(
        channels, 1, use_bias=True, dtype=x.dtype, bias_init=start, name=name
      )(x)

    x = conv(4 * x.shape[-1], x, '0')
    x = layers.layer_norm(EPS, x.dtype, '1')(x)
    return conv(self.channels, jax.nn.gelu(x, approximate=False), '3')


class FeatureProjection(nn.Module):
  """Two convolutions from a map to a frozen network's features.

  Computes in the dtype of its input.

  Attributes:
    channels: of the frozen network's features.
  """

  channels: int

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
    return _Layers(self.channels, name='feat_project')(feature)
