"""From RGB pixels to what a family of weights was trained on, and back."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """`(pixels - mean) / std`, in the weights' order of channels.

  Attributes:
    mean: subtracted from the pixels (0..255), in `channel_order`.
    std: divided by, in `channel_order`.
    channel_order: 'rgb' or 'bgr'.
  """

  mean: tuple[float, float, float]
  std: tuple[float, float, float] = (1.0, 1.0, 1.0)
  channel_order: str = 'rgb'

  def __post_init__(self):
    if self.channel_order not in ('rgb', 'bgr'):
      raise ValueError(
        f"channel_order must be 'rgb' or 'bgr', got {self.channel_order!r}."
      )

  def normalize(self, pixels: jax.Array) -> jax.Array:
    """Returns the network's input from [..., 3] RGB pixels in 0..255.

    uint8 pixels give float32 (float64 under x64), floats keep their dtype.
    """
    x = _as_float(pixels)
    x = x[..., ::-1] if self.channel_order == 'bgr' else x
    return (x - jnp.asarray(self.mean, x.dtype)) / jnp.asarray(
      self.std, x.dtype
    )

  def denormalize(self, image: jax.Array) -> jax.Array:
    """Returns [..., 3] RGB pixels of a network input, not rounded."""
    x = _as_float(image)
    x = x * jnp.asarray(self.std, x.dtype) + jnp.asarray(self.mean, x.dtype)
    return x[..., ::-1] if self.channel_order == 'bgr' else x


def _as_float(x: jax.Array) -> jax.Array:
  x = jnp.asarray(x)
  if jnp.issubdtype(x.dtype, jnp.floating):
    return x
  return x.astype(jnp.result_type(float))


# RGB, the mean and standard deviation of ImageNet.
IMAGENET = Preprocessing(
  mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
)
# BGR, mean subtracted, as the Caffe networks.
CAFFE = Preprocessing(
  mean=(104.00698793, 116.66876762, 122.67891434), channel_order='bgr'
)
# RGB in -1..1, as EfficientNet-Lite.
CENTRED = Preprocessing(mean=(127.0,) * 3, std=(128.0,) * 3)
