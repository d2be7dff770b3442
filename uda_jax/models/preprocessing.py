"""Pixel preprocessing of the published weights, and its inverse."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from uda_jax import types


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """`(pixels - mean) / std`, in the weights' order of channels.

  Attributes:
    mean: subtracted from the pixels (0..255), one a channel, in
      `channel_order`.
    std: divisor, one a channel, in `channel_order`.
    channel_order: 'rgb' or 'bgr', the order of the first three channels of the
      network's input; pixels are always RGB. Further channels keep their place.
  """

  mean: tuple[float, ...]
  std: tuple[float, ...] = (1.0, 1.0, 1.0)
  channel_order: str = 'rgb'

  def __post_init__(self):
    if self.channel_order not in ('rgb', 'bgr'):
      raise ValueError(
        f"channel_order must be 'rgb' or 'bgr', got {self.channel_order!r}."
      )

  def with_channels(self, channels: int) -> Preprocessing:
    """Returns the preprocessing for another number of channels.

    Channels after the third get the average of the three means and of the
    three standard deviations; with fewer than three channels, all do.

    Args:
      channels: 1 or more.
    """
    if channels == len(self.mean):
      return self

    def extended(values: tuple[float, ...]) -> tuple[float, ...]:
      own = values if channels > len(values) else ()
      average = sum(values) / len(values)
      return own + (average,) * (channels - len(own))

    order = self.channel_order if channels > len(self.mean) else 'rgb'
    return Preprocessing(extended(self.mean), extended(self.std), order)

  def configured(self, config: types.Config) -> Preprocessing:
    """Returns the preprocessing for the input channels of `config.model`.

    Args:
      config: `in_channels`, and `mean` and `std`, one number a channel in the
        order of the files' channels; () = those of `with_channels`.
    """
    own = self.with_channels(config.in_channels)

    def values(name: str) -> tuple[float, ...]:
      given = tuple(map(float, config.get(name, ())))
      if own.channel_order == 'bgr':
        given = (*given[2::-1], *given[3:])
      return given

    return Preprocessing(
      values('mean') or own.mean, values('std') or own.std, own.channel_order
    )

  def normalize(self, pixels: jax.Array) -> jax.Array:
    """Returns the network's input for pixels.

    Args:
      pixels: [..., C] in 0..255, the first three channels RGB; uint8 gives
        float32 (float64 under x64), floats keep their dtype.

    Returns:
      [..., C] float.

    Raises:
      ValueError: C is not the number of channels.
    """
    x = self._ordered(self._as_float(pixels))
    return (x - jnp.asarray(self.mean, x.dtype)) / jnp.asarray(
      self.std, x.dtype
    )

  def denormalize(self, image: jax.Array) -> jax.Array:
    """Returns the [..., C] pixels of a network's input, not rounded."""
    x = self._as_float(image)
    x = x * jnp.asarray(self.std, x.dtype) + jnp.asarray(self.mean, x.dtype)
    return self._ordered(x)

  def _as_float(self, x: jax.Array) -> jax.Array:
    x = jnp.asarray(x)
    if x.shape[-1] != len(self.mean):
      raise ValueError(
        f'expected images of {len(self.mean)} channels '
        f'(config.model.in_channels), got {x.shape[-1]}'
      )
    if jnp.issubdtype(x.dtype, jnp.floating):
      return x
    return x.astype(jnp.result_type(float))

  def _ordered(self, x: jax.Array) -> jax.Array:
    """Reverses the first three channels of BGR, which is its own inverse."""
    if self.channel_order == 'rgb':
      return x
    if x.shape[-1] == 3:
      return x[..., ::-1]
    return jnp.concatenate([x[..., 2::-1], x[..., 3:]], -1)


def check(model) -> None:
  """Raises ValueError for `in_channels`, `mean` or `std` of `config.model`."""
  channels = model.in_channels
  if type(channels) is not int or channels < 1:
    raise ValueError(
      'config.model.in_channels: expected a whole number, 1 or more, got '
      f'{channels!r}'
    )
  for name in ('mean', 'std'):
    value = model.get(name, ())
    good = isinstance(value, tuple | list) and len(value) in (0, channels)
    good = good and all(isinstance(x, int | float) for x in value)
    if not good or (name == 'std' and not all(x > 0 for x in value)):
      above = ' above 0' if name == 'std' else ''
      raise ValueError(
        f'config.model.{name}: expected {channels} number(s){above}, one for '
        'each of config.model.in_channels in units of the pixels (0..255), or '
        f'() for those of the weights, got {value!r}'
      )


# RGB, mean and standard deviation of ImageNet.
IMAGENET = Preprocessing(
  mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
)
# RGB, mean and standard deviation of CLIP's images, for EVA-02.
CLIP = Preprocessing(
  mean=(122.7709383, 116.7460125, 104.09373615),
  std=(68.5005327, 66.6321579, 70.32316305),
)
# BGR less the mean, for networks converted from Caffe.
CAFFE = Preprocessing(
  mean=(104.00698793, 116.66876762, 122.67891434), channel_order='bgr'
)
# RGB in -1..1, for EfficientNet-Lite.
CENTRED = Preprocessing(mean=(127.0,) * 3, std=(128.0,) * 3)
