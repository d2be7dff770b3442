"""Small trainable modules in addition to a network, for `Network.head`.

Their inputs are maps that a method prepares: PiPa's (arXiv 2211.07609)
embeddings of pixels and patches and its class maps. Modules have the names of
the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import feature_projection
from uda_jax.models import layers
from uda_jax.models import network
from uda_jax.ops import resize
from uda_jax.ops import vectors


def concatenate(features: Sequence[jax.Array]) -> jax.Array:
  """Joins the stages' maps at the size of the first.

  Args:
    features: [B, h_s, w_s, D_s] of each stage, finest first. The others are
      enlarged with align_corners (released code, only here).

  Returns:
    [B, h_0, w_0, sum of D_s].
  """
  size = features[0].shape[1:3]
  return jnp.concatenate(
    [resize.bilinear(x, size, align_corners=True) for x in features], -1
  )


def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
  """Returns PyTorch's default U(-b, b), b = fan_in^-1/2, from normal noise."""
  del path
  uniform = jax.scipy.special.erf(noise / math.sqrt(2))
  return uniform * math.prod(noise.shape[:-1]) ** -0.5


def _conv(
  channels: int,
  x: jax.Array,
  name: str,
  *,
  size: int = 1,
  use_bias: bool = True,
) -> nn.Module:
  """Returns a convolution for `x` in its dtype, initialized as in PyTorch."""
  bound = (size * size * x.shape[-1]) ** -0.5

  def bias_init(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return layers.Conv(
    channels,
    size,
    use_bias=use_bias,
    dtype=x.dtype,
    bias_init=bias_init,
    name=name,
  )


def _unit(x: jax.Array) -> jax.Array:
  """Returns unit vectors in the dtype of logits and losses."""
  return vectors.unit_vectors(x.astype(layers.storage_dtype(x.dtype)))


class Norm(nn.Module):
  """A batch norm with ReLU, one level down as in the checkpoints' names."""

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    return nn.relu(
      layers.BatchNorm(dtype=x.dtype, name='0')(
        x, use_running_average=use_running_average
      )
    )


class Layers(nn.Module):
  """The layers '0', '1', '2' of a projection."""

  channels: int

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    x = _conv(x.shape[-1], x, '0')(x)
    x = Norm(name='1')(x, use_running_average=use_running_average)
    return _conv(self.channels, x, '2')(x)


class PixelProjection(nn.Module):
  """Unit vectors of pixels from the maps of all stages (PiPa, `proj_head`)."""

  channels: int

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool,
  ) -> jax.Array:
    del deterministic
    x = concatenate(features)
    return _unit(
      Layers(self.channels, name='proj')(
        x, use_running_average=use_running_average
      )
    )


class PixelClasses(nn.Module):
  """Logits from the maps of all stages (PiPa, `cls_head`)."""

  channels: int
  dropout: float = 0.1

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool,
  ) -> jax.Array:
    x = concatenate(features)
    x = _conv(x.shape[-1], x, '0', size=3)(x)
    x = Norm(name='1')(x, use_running_average=use_running_average)
    x = nn.Dropout(self.dropout, broadcast_dims=(1, 2))(
      x, deterministic=deterministic
    )
    return _conv(self.channels, x, '3', use_bias=False)(x)


class PatchProjection(nn.Module):
  """Unit vectors of one map (PiPa, `project`)."""

  channels: int

  @nn.compact
  def __call__(
    self, x: jax.Array, *, use_running_average: bool, deterministic: bool
  ) -> jax.Array:
    del use_running_average, deterministic
    x = nn.relu(_conv(x.shape[-1], x, '0')(x))
    return _unit(_conv(self.channels, x, '2')(x))


class PatchClasses(nn.Module):
  """Logits of one map (PiPa, `classifier`)."""

  channels: int

  @nn.compact
  def __call__(
    self, x: jax.Array, *, use_running_average: bool, deterministic: bool
  ) -> jax.Array:
    del use_running_average, deterministic
    conv = _conv(self.channels, x, 'conv')
    nn.share_scope(self, conv)  # a bare convolution in the checkpoints
    return conv(x)


# Name in `Network.head` -> name of the variables, module(output channels).
HEADS: dict[str, tuple[str, Callable[[int], nn.Module]]] = {
  'proj': ('proj_head', PixelProjection),
  'cls': ('cls_head', PixelClasses),
  'project': ('project', PatchProjection),
  'classifier': ('classifier', PatchClasses),
  'feature_head': ('feature_head', feature_projection.FeatureProjection),
}


def build(config: types.Config) -> dict[str, network.Head]:
  """Builds the extra modules that `config.model.heads` lists.

  Its rows are (name in `HEADS`, input of the module, output channels). The
  input is 'features' (maps of all stages), 'coarsest' (the last of them),
  'logits', or one of the network's `maps`; it determines the number of input
  channels at initialization.
  """
  heads = {}
  for name, source, channels in config.heads:
    if name not in HEADS:
      raise ValueError(
        f'config.model.heads: got {name!r}, expected of {sorted(HEADS)}.'
      )
    key, make = HEADS[name]
    example = functools.partial(_pick, source)
    heads[name] = network.Head(key, make(channels), example, kernel_init)
  return heads


def _pick(source: str, outputs: types.Outputs) -> Any:
  if source in ('features', 'logits'):
    return getattr(outputs, source)
  if source == 'coarsest':
    return outputs.features[-1]
  if source not in outputs.maps:
    raise ValueError(
      "config.model.heads: expected 'features', 'coarsest', 'logits' or one "
      f'of the maps {sorted(outputs.maps)}, got {source!r}.'
    )
  return outputs.maps[source]
