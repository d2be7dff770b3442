"""The convolutional network of the ViT-Adapter (arXiv 2205.08534)."""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers
from uda_jax.models import pooling

# Weight of a batch's statistics in the running ones, here and in the adapter.
MOMENTUM = 0.01


class _Convs(nn.Module):
  """3x3 convolutions with norm and ReLU, numbered as PyTorch's Sequential.

  Attributes:
    widths: channels of each.
    strides: stride of each.
    dtype: compute dtype.
  """

  widths: Sequence[int]
  strides: Sequence[int]
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    for i, (width, stride) in enumerate(zip(self.widths, self.strides)):
      x = layers.Conv(width, 3, stride, dtype=self.dtype, name=str(3 * i))(x)
      norm = layers.BatchNorm(MOMENTUM, dtype=self.dtype, name=str(3 * i + 1))
      x = nn.relu(norm(x, use_running_average=use_running_average))
    return x


class SpatialPrior(nn.Module):
  """Maps of the image at strides 4, 8, 16, 32.

  Attributes:
    width: channels of the maps.
    stem_width: channels of the first convolutions.
    dtype: compute dtype.
  """

  width: int
  stem_width: int = 64
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, image: jax.Array, *, use_running_average: bool
  ) -> list[jax.Array]:
    n = self.stem_width
    convs = functools.partial(_Convs, dtype=self.dtype)
    switch = dict(use_running_average=use_running_average)
    x = convs((n, n, n), (2, 1, 1), name='stem')(image, **switch)
    maps = [pooling.max_pool(x, size=3, stride=2, padding=1)]
    for i, channels in enumerate((2 * n, 4 * n, 4 * n), 2):
      maps.append(convs((channels,), (2,), name=f'conv{i}')(maps[-1], **switch))
    return [
      layers.Conv(
        self.width, 1, use_bias=True, dtype=self.dtype, name=f'fc{i}'
      )(x)
      for i, x in enumerate(maps, 1)
    ]
