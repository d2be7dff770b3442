"""A light decoder for features at several strides, logits at the finest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers
from uda_jax.ops import resize


class LightDecoder(nn.Module):
  """Projects every stage to one width and sums them from coarse to fine.

  After each sum a depthwise-separable 3x3 convolution fuses the two scales.

  Attributes:
    num_classes: classes of the logits.
    width: channels of all stages in the decoder.
    dropout: fraction of channels dropped before the classifier.
    dtype: compute dtype.
    form: form of the depthwise convolutions, see `layers.DepthwiseConv`.
  """

  num_classes: int
  width: int = 64
  dropout: float = 0.1
  dtype: Any = jnp.float32
  form: str = ''

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool,
  ) -> tuple[jax.Array, jax.Array]:
    """Returns logits and the map they are made of, before dropout.

    Both are [B, h, w, ...] at the first stage's size.

    Args:
      features: [B, h_s, w_s, D_s] of each stage, finest first.
      use_running_average: batch norm's switch.
      deterministic: turns dropout off.
    """

    def norm(x: jax.Array, name: str) -> jax.Array:
      return layers.BatchNorm(dtype=self.dtype, name=name)(
        x, use_running_average=use_running_average
      )

    def project(i: int) -> jax.Array:
      conv = layers.Conv(self.width, 1, dtype=self.dtype, name=f'project{i}')
      return norm(conv(features[i]), f'project_norm{i}')

    coarsest = len(features) - 1
    x = nn.relu(project(coarsest))
    for i in reversed(range(coarsest)):
      lateral = project(i)
      x = lateral + resize.bilinear(x, lateral.shape[1:3])
      x = layers.DepthwiseConv(
        dtype=self.dtype, form=self.form, name=f'depthwise{i}'
      )(nn.relu(x))
      x = layers.Conv(self.width, 1, dtype=self.dtype, name=f'fuse{i}')(x)
      x = nn.relu(norm(x, f'fuse_norm{i}'))
    fused = x
    # Whole channels: single pixels would be filled in by their neighbors.
    x = nn.Dropout(self.dropout, broadcast_dims=(1, 2))(
      x, deterministic=deterministic
    )
    logits = layers.Conv(
      self.num_classes, 1, use_bias=True, dtype=self.dtype, name='classifier'
    )(x)
    return logits.astype(layers.storage_dtype(self.dtype)), fused
