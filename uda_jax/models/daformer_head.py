"""DAFormer's decoder (arXiv 2111.14887, section 3.2): embed, resize, fuse.

Modules have the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import layers
from uda_jax.ops import resize

FUSIONS = ('sepaspp', 'aspp', 'conv1')
DILATIONS = (1, 6, 12, 18)


class Embedding(nn.Module):
  """A dense layer, one level down as in the checkpoints' names."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    bound = x.shape[-1] ** -0.5  # PyTorch's default for biases

    def bias_init(key, shape, dtype):
      return jax.random.uniform(key, shape, dtype, -bound, bound)

    return layers.dense(self.features, self.dtype, 'proj', bias_init)(x)


class Embeddings(nn.Module):
  """The embeddings '0', '1', ... of the stages."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, features: Sequence[jax.Array]) -> list[jax.Array]:
    return [
      Embedding(self.features, self.dtype, name=str(i))(x)
      for i, x in enumerate(features)
    ]


class ConvModule(nn.Module):
  """Convolution without bias, batch norm, ReLU.

  Attributes:
    features: channels of the output; 0: a depthwise convolution.
    kernel_size: side of the kernel.
    dilation: spacing of its taps.
    dtype: compute dtype.
  """

  features: int
  kernel_size: int = 1
  dilation: int = 1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    options = dict(dilation=self.dilation, dtype=self.dtype, name='conv')
    conv: layers.Conv | layers.DepthwiseConv
    if self.features:
      conv = layers.Conv(self.features, self.kernel_size, **options)
    else:
      conv = layers.DepthwiseConv(self.kernel_size, **options)
    x = layers.BatchNorm(dtype=self.dtype, name='bn')(
      conv(x), use_running_average=use_running_average
    )
    return nn.relu(x)


class SeparableConv(nn.Module):
  """A depthwise 3x3 and a 1x1 `ConvModule`."""

  features: int
  dilation: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    x = ConvModule(0, 3, self.dilation, self.dtype, name='depthwise_conv')(
      x, use_running_average=use_running_average
    )
    return ConvModule(self.features, dtype=self.dtype, name='pointwise_conv')(
      x, use_running_average=use_running_average
    )


class Branches(nn.Module):
  """The dilated branches '0', '1', ... side by side; dilation 1 is a 1x1."""

  features: int
  separable: bool
  dilations: Sequence[int] = DILATIONS
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    maps = []
    module: ConvModule | SeparableConv
    for i, dilation in enumerate(self.dilations):
      if dilation == 1:
        module = ConvModule(self.features, dtype=self.dtype, name=str(i))
      elif self.separable:
        module = SeparableConv(self.features, dilation, self.dtype, name=str(i))
      else:
        module = ConvModule(self.features, 3, dilation, self.dtype, name=str(i))
      maps.append(module(x, use_running_average=use_running_average))
    return jnp.concatenate(maps, -1)


class ASPP(nn.Module):
  """Dilated branches without image pooling, and a 3x3 over all of them."""

  features: int
  separable: bool
  dilations: Sequence[int] = DILATIONS
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    x = Branches(
      self.features,
      self.separable,
      self.dilations,
      self.dtype,
      name='aspp_modules',
    )(x, use_running_average=use_running_average)
    return ConvModule(self.features, 3, dtype=self.dtype, name='bottleneck')(
      x, use_running_average=use_running_average
    )


class DAFormerHead(nn.Module):
  """DAFormer's decoder.

  Attributes:
    num_classes: classes of the logits.
    width: channels after the fusion.
    fusion: 'sepaspp' (DAFormer), 'aspp' (full 3x3 convolutions in its place)
      or 'conv1' (one 1x1 convolution; HRDA's attention).
    dropout: fraction of channels dropped before the classifier.
    dtype: compute dtype.
    embed_width: channels of the embeddings; 0: as `width` (CLUDA: 512).
    dilations: of the fusion's branches.
  """

  num_classes: int
  width: int = 256
  fusion: str = 'sepaspp'
  dropout: float = 0.1
  dtype: Any = jnp.float32
  embed_width: int = 0
  dilations: Sequence[int] = DILATIONS

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> tuple[jax.Array, jax.Array]:
    """Decodes to the first stage's size.

    Args:
      features: [B, h_s, w_s, D_s] of each stage, finest first.
      use_running_average: batch norm's switch.
      deterministic: turns dropout off.

    Returns:
      [B, h, w, num_classes] logits and the fused map [B, h, w, width] that the
      classifier sees, before dropout.
    """
    maps = Embeddings(
      self.embed_width or self.width, self.dtype, name='embed_layers'
    )(features)
    x = jnp.concatenate(
      [resize.bilinear(x, maps[0].shape[1:3]) for x in maps], -1
    )
    fused = self._fuse()(x, use_running_average=use_running_average)
    logits = classify(
      fused,
      self.num_classes,
      self.dropout,
      self.dtype,
      deterministic,
      name='conv_seg',
    )
    return logits, fused

  def _fuse(self) -> nn.Module:
    if self.fusion not in FUSIONS:
      raise ValueError(
        f'DAFormerHead.fusion: got {self.fusion!r}, expected one of {FUSIONS}'
      )
    if self.fusion == 'conv1':
      return ConvModule(self.width, dtype=self.dtype, name='fuse_layer')
    separable = self.fusion == 'sepaspp'
    return ASPP(
      self.width, separable, self.dilations, self.dtype, name='fuse_layer'
    )

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel, see `initial_kernel`."""
    return initial_kernel(path, noise, classifier='conv_seg')


def classify(
  x: jax.Array,
  num_classes: int,
  dropout: float,
  dtype: Any,
  deterministic: bool,
  *,
  name: str,
) -> jax.Array:
  """Drops whole channels of [B, H, W, D] and returns logits [B, H, W, C]."""
  x = nn.Dropout(dropout, broadcast_dims=(1, 2))(x, deterministic=deterministic)
  logits = layers.Conv(num_classes, 1, use_bias=True, dtype=dtype, name=name)(x)
  return logits.astype(layers.storage_dtype(dtype))


def initial_kernel(
  path: tuple[str, ...], noise: jax.Array, *, classifier: str
) -> jax.Array:
  """Returns the initial value of a decoder's kernel, as released.

  N(0, 0.01^2) for the classifier; Kaiming's normal distribution by fan-out for
  convolutions (PyTorch's fan-out: of a depthwise one, of all channels);
  PyTorch's default U(-b, b), b = fan_in^-1/2, for dense layers.

  Args:
    path: of the kernel in the head's parameters.
    noise: standard normal, in the shape of the kernel.
    classifier: name of the classifier.
  """
  if path[0] == classifier:
    return 0.01 * noise
  if noise.ndim == 2:
    # The distribution function takes normal draws to uniform ones.
    uniform = jax.scipy.special.erf(noise / math.sqrt(2))
    return uniform * noise.shape[0] ** -0.5
  height, width, _, features = noise.shape
  return noise * math.sqrt(2 / (height * width * features))
