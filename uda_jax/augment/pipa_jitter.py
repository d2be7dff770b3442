"""Colours of two views of a scene, changed independently (PiPa, 2211.07609).

Blur, colour jitter as torchvision defines it, and loss of colour; each image
has draws of its own. Images are RGB.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.augment import dacs_jitter
from uda_jax.augment import hsv

# Released code: strength of brightness, contrast and saturation; of the hue.
STRENGTH = (0.4, 0.4, 0.4, 0.1)
# How often an image is blurred, jittered, made grey.
PROBABILITY = (0.5, 0.8, 0.2)
# What OpenCV takes for a kernel of 5 taps.
BLUR_SIGMA, BLUR_TAPS = 1.1, 5


class ViewJitter(NamedTuple):
  """The draws, one row an image.

  Attributes:
    factor: [B, 4]: factors of brightness, contrast and saturation, turns of
      the hue.
    on: [B, 3] bool: blurs, jitters, makes grey.
  """

  factor: jax.Array
  on: jax.Array


def draw_view_jitter(key: jax.Array, *, batch: int) -> ViewJitter:
  """Draws the input of `apply_view_jitter` for `batch` images [B, H, W, 3]."""
  factor_key, gate_key = jax.random.split(key)
  strength = jnp.array(STRENGTH)
  offset = strength * jax.random.uniform(factor_key, (batch, 4), minval=-1)
  on = jax.random.uniform(gate_key, (batch, 3)) < jnp.array(PROBABILITY)
  return ViewJitter(offset + jnp.array([1, 1, 1, 0]), on)


def _gray(image: jax.Array) -> jax.Array:
  """The luma [..., 1] of ITU-R 601, as Pillow has it."""
  weights = jnp.array([0.299, 0.587, 0.114], image.dtype)
  return (image * weights).sum(-1, keepdims=True)


def _jitter(image: jax.Array, factor: jax.Array) -> jax.Array:
  """Jitters images in [0, 1], in this order (torchvision draws the order)."""
  brightness, contrast, saturation, hue = jnp.moveaxis(
    factor.astype(image.dtype), -1, 0
  )[..., None, None, None]
  blend = lambda x, other, share: jnp.clip(
    share * x + (1 - share) * other, 0, 1
  )
  image = jnp.clip(brightness * image, 0, 1)
  image = blend(image, _gray(image).mean((1, 2), keepdims=True), contrast)
  image = blend(image, _gray(image), saturation)
  turn = hsv.TURN * hue * jnp.array([1, 0, 0], image.dtype)
  return jnp.clip(hsv.hsv_to_rgb(hsv.rgb_to_hsv(image) + turn), 0, 1)


def _blur(image: jax.Array) -> jax.Array:
  """Blurs with OpenCV's kernel, reflecting at the borders."""
  kernel = dacs_jitter.gaussian_kernel(BLUR_SIGMA, size=BLUR_TAPS)
  radius = BLUR_TAPS // 2
  for axis in (1, 2):
    pad = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(image, pad, mode='reflect')
    image = sum(
      kernel[i].astype(image.dtype)
      * jax.lax.slice_in_dim(padded, i, i + image.shape[axis], axis=axis)
      for i in range(BLUR_TAPS)
    )
  return image


def apply_view_jitter(pixels: jax.Array, draw: ViewJitter) -> jax.Array:
  """Blurs, jitters and greys each image, or does not.

  Args:
    pixels: [B, H, W, 3] in 0..255, uint8 or float; H, W of 3 or more.
    draw: what `draw_view_jitter` returns.

  Returns:
    [B, H, W, 3] float in 0..255.
  """
  image = pixels.astype(jnp.promote_types(pixels.dtype, jnp.float32)) / 255
  blur, jitter, gray = jnp.moveaxis(draw.on, -1, 0)[..., None, None, None]
  image = jnp.where(blur, _blur(image), image)
  image = jnp.where(jitter, _jitter(image, draw.factor), image)
  return 255 * jnp.where(gray, _gray(image), image)


def jitter_views(key: jax.Array, pixels: jax.Array) -> jax.Array:
  """Changes the colours of [B, H, W, 3] images; see `apply_view_jitter`."""
  return apply_view_jitter(pixels, draw_view_jitter(key, batch=len(pixels)))
