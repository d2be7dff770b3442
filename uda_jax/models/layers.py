"""Layers with the conventions of PyTorch that are fast on every backend.

Kernels are HWIO, images NHWC. Every layer computes in its `dtype`
(float32, bfloat16 or float64) and keeps its variables in float32, or in
float64 when it computes in float64. Kernels start as zeros here:
`network.from_module` draws those of a whole network at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax import ad_checkpoint
import jax.numpy as jnp

from uda_jax.models import depthwise

Dtype = Any
# Name of arrays that `blocks.Blocks` keeps for the backward pass, beside the
# results of dense layers.
KEPT = 'kept'


def storage_dtype(dtype: Dtype) -> Dtype:
  """Returns the dtype of variables and statistics for a compute dtype."""
  return jnp.promote_types(dtype, jnp.float32)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
  """Returns TensorFlow's SAME padding of an axis, the odd one at the end."""
  total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
  return total // 2, total - total // 2


def dense(
  features: int,
  dtype: Dtype,
  name: str,
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros,
  use_bias: bool = True,
) -> nn.Dense:
  """Returns a dense layer over the last axis: [..., D] to [..., features]."""
  return nn.Dense(
    features,
    dtype=dtype,
    param_dtype=storage_dtype(dtype),
    kernel_init=nn.initializers.zeros,
    bias_init=bias_init,
    use_bias=use_bias,
    name=name,
  )


def layer_norm(eps: float, dtype: Dtype, name: str) -> nn.LayerNorm:
  """Returns a layer norm over the channels, statistics as of `BatchNorm`."""
  return nn.LayerNorm(
    eps,
    dtype=dtype,
    param_dtype=storage_dtype(dtype),
    use_fast_variance=False,
    name=name,
  )


class Conv(nn.Module):
  """A convolution; 1x1 kernels are matrix products.

  Attributes:
    features: channels of the output.
    kernel_size: side of the square kernel.
    stride: step of both axes.
    dilation: spacing of the kernel's taps.
    same: pads as TensorFlow does; else by dilation * (kernel_size // 2) on
      every side, as PyTorch models do.
    use_bias: adds a bias.
    dtype: compute dtype.
    bias_init: initializer of the bias.
    padding: rows and columns of zeros on every side, where it is neither of
      the two; kernels larger than 1x1 only.
  """

  features: int
  kernel_size: int = 3
  stride: int = 1
  dilation: int = 1
  same: bool = False
  use_bias: bool = False
  dtype: Dtype = jnp.float32
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros
  padding: int | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    size = self.kernel_size
    store = storage_dtype(self.dtype)
    kernel = self.param(
      'kernel',
      nn.initializers.zeros,
      (size, size, x.shape[-1], self.features),
      store,
    ).astype(self.dtype)
    x = x.astype(self.dtype)
    if size == 1:
      # On XLA:CPU a matrix product is 1.5 times faster than the convolution.
      step = self.stride
      x = x[:, ::step, ::step] @ kernel[0, 0]
    else:
      x = jax.lax.conv_general_dilated(
        x,
        kernel,
        (self.stride, self.stride),
        self._padding(x.shape[1:3]),
        rhs_dilation=(self.dilation, self.dilation),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      )
    if self.use_bias:
      bias = self.param('bias', self.bias_init, (self.features,), store)
      x = x + bias.astype(self.dtype)
    return x

  def _padding(self, image_size: tuple[int, ...]) -> list[tuple[int, int]]:
    if self.same:
      extent = (self.kernel_size - 1) * self.dilation + 1
      return [same_padding(n, extent, self.stride) for n in image_size]
    padding = self.padding
    if padding is None:
      padding = self.dilation * (self.kernel_size // 2)
    return [(padding, padding)] * 2


class Upsample(nn.Module):
  """A transposed convolution of 2x2 and stride 2: a dense layer of each pixel.

  The kernel is [2, 2, out, in]: PyTorch's [in, out, 2, 2] by the rule of
  `state_dict`.

  Attributes:
    features: channels of the output.
    use_bias: adds a bias.
    dtype: compute dtype.
    bias_init: initializer of the bias.
  """

  features: int
  use_bias: bool = False
  dtype: Dtype = jnp.float32
  bias_init: Callable[..., jax.Array] = nn.initializers.zeros

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    store = storage_dtype(self.dtype)
    batch, height, width, channels = x.shape
    shape = (2, 2, self.features, channels)
    kernel = self.param('kernel', nn.initializers.zeros, shape, store)
    x = jnp.einsum(
      'bhwc,uvoc->bhuwvo', x.astype(self.dtype), kernel.astype(self.dtype)
    )
    x = x.reshape(batch, 2 * height, 2 * width, self.features)
    if self.use_bias:
      bias = self.param('bias', self.bias_init, (self.features,), store)
      x = x + bias.astype(self.dtype)
    return x


class DepthwiseConv(nn.Module):
  """A depthwise convolution, one filter a channel.

  Attributes:
    kernel_size: side of the square kernel.
    stride: step of both axes.
    dilation: spacing of the kernel's taps.
    same: pads as TensorFlow does, else as PyTorch models do (see `Conv`).
    use_bias: adds a bias.
    dtype: compute dtype.
    form: 'shifted' or 'conv', see `depthwise.convolve`; '' leaves the choice
      to `depthwise.default_form`.
  """

  kernel_size: int = 3
  stride: int = 1
  dilation: int = 1
  same: bool = False
  use_bias: bool = False
  dtype: Dtype = jnp.float32
  form: str = ''

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    size = self.kernel_size
    store = storage_dtype(self.dtype)
    zeros = nn.initializers.zeros
    kernel = self.param('kernel', zeros, (size, size, 1, x.shape[-1]), store)
    extent = (size - 1) * self.dilation + 1
    if self.same:
      padding = [same_padding(n, extent, self.stride) for n in x.shape[1:3]]
    else:
      padding = [(extent // 2, extent // 2)] * 2
    x = depthwise.convolve(
      x.astype(self.dtype),
      kernel.astype(self.dtype),
      stride=self.stride,
      dilation=self.dilation,
      padding=padding,
      form=self.form or depthwise.default_form(),
    )
    x = ad_checkpoint.checkpoint_name(x, KEPT)
    if self.use_bias:
      bias = self.param('bias', zeros, (x.shape[-1],), store)
      x = x + bias.astype(self.dtype)
    return x


class BatchNorm(nn.Module):
  """Batch normalization with PyTorch's conventions.

  `momentum` is the weight of the new value, and the running variance takes
  the unbiased variance while the normalization uses the biased one (flax
  differs in both). Statistics are those of the array at hand and are not
  synchronized over devices: a group is a whole batch.

  Attributes:
    momentum: weight of the batch's statistics in the running ones.
    eps: added to the variance.
    dtype: dtype of the output; statistics are float32, or float64 for a
      float64 network.
  """

  momentum: float = 0.1
  eps: float = 1e-5
  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, use_running_average: bool) -> jax.Array:
    width = (x.shape[-1],)
    store = storage_dtype(self.dtype)
    scale = self.param('scale', nn.initializers.ones, width, store)
    bias = self.param('bias', nn.initializers.zeros, width, store)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, width, store)
    var = self.variable('batch_stats', 'var', jnp.ones, width, store)
    if use_running_average:
      used_mean, used_var = mean.value, var.value
    else:
      used_mean, used_var = moments(x.astype(store))
      count = x.size // x.shape[-1]
      self._blend(mean, used_mean)
      self._blend(var, used_var * (count / max(count - 1, 1)))
    factor = scale * jax.lax.rsqrt(used_var + self.eps)
    return ((x.astype(store) - used_mean) * factor + bias).astype(self.dtype)

  def _blend(self, running: nn.Variable, new: jax.Array) -> None:
    new = jax.lax.stop_gradient(new)
    running.value = (1 - self.momentum) * running.value + self.momentum * new


def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the mean and the biased variance of every channel.

  The second pass over the data, for the variance, costs little and keeps a
  small variance beside a large mean (unstandardised images) exact.

  Args:
    x: [..., C] float32 or float64.

  Returns:
    Two arrays [C].
  """
  axes = tuple(range(x.ndim - 1))
  mean = jnp.mean(x, axes)
  return mean, jnp.mean(jnp.square(x - mean), axes)
