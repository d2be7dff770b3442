"""Color augmentation of PiPa's two crops (arXiv 2211.07609, released code).

Blur, color jitter as torchvision defines and orders it, and conversion to gray,
each drawn per image. Images are RGB.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.augment import channels
from uda_jax.augment import filters
from uda_jax.augment import torchvision_jitter

# Released code: strength of brightness, contrast, saturation and hue.
STRENGTH = (0.4, 0.4, 0.4, 0.1)
# Expected fraction of images that are blurred, jittered, made gray.
FRACTIONS = (0.5, 0.8, 0.2)
# OpenCV's sigma for a kernel of 5 taps.
BLUR_SIGMA, BLUR_TAPS = 1.1, 5


class ViewJitter(NamedTuple):
  """Random draws of `apply_view_jitter` for B images.

  Attributes:
    factor: [B, 4] float, factors of brightness, contrast and saturation; turns
      added to the hue.
    order: [B, 4] int, order of these four operations, numbered as in `factor`.
    on: [B, 3] bool, whether the image is blurred, jittered, made gray.
  """

  factor: jax.Array
  order: jax.Array
  on: jax.Array


def draw_view_jitter(key: jax.Array, *, batch: int) -> ViewJitter:
  """Draws blur, color jitter and gray for each image.

  Args:
    key: a JAX key.
    batch: B.

  Returns:
    Draws for `apply_view_jitter` on images [B, H, W, 3].

  Example:
    >>> print(draw_view_jitter(jax.random.key(0), batch=2).on.shape)
    (2, 3)
  """
  factor_key, gate_key, order_key = jax.random.split(key, 3)
  strength = jnp.array(STRENGTH)
  offset = strength * jax.random.uniform(factor_key, (batch, 4), minval=-1)
  on = jax.random.uniform(gate_key, (batch, 3)) < jnp.array(FRACTIONS)
  order = torchvision_jitter.draw_orders(order_key, batch=batch)
  return ViewJitter(offset + jnp.array([1, 1, 1, 0]), order, on)


def _gray(image: jax.Array) -> jax.Array:
  """Luma [..., 1] of ITU-R 601, as in Pillow."""
  weights = jnp.array([0.299, 0.587, 0.114], image.dtype)
  return (image * weights).sum(-1, keepdims=True)


def _blur(image: jax.Array) -> jax.Array:
  """Blurs with OpenCV's Gaussian kernel of 5 x 5 pixels."""
  kernel = filters.gaussian_kernel(BLUR_SIGMA, size=BLUR_TAPS)[None]
  return filters.separable_filter(image, kernel, kernel)


def apply_view_jitter(pixels: jax.Array, draw: ViewJitter) -> jax.Array:
  """Blurs, jitters and makes gray, each for the images drawn.

  Args:
    pixels: [B, H, W, N] in 0..255, uint8 or float; H, W >= 3. RGB if N = 3, see
      `channels` for others.
    draw: result of `draw_view_jitter`.

  Returns:
    [B, H, W, N] float in 0..255.

  Example:
    >>> draw = draw_view_jitter(jax.random.key(0), batch=2)
    >>> pixels = jnp.zeros((2, 8, 8, 3), jnp.uint8)
    >>> print(jax.eval_shape(apply_view_jitter, pixels, draw).dtype)
    float32
  """
  image = pixels.astype(jnp.promote_types(pixels.dtype, jnp.float32)) / 255
  blur, jitter, gray = jnp.moveaxis(draw.on, -1, 0)[..., None, None, None]
  image = jnp.where(blur, _blur(image), image)
  jitter_colors = channels.on_colors(torchvision_jitter.jitter)
  # Image by image: under `vmap` the switch of an order computes all branches.
  jittered = jax.lax.map(
    lambda args: jitter_colors(*args), (image, draw.factor, draw.order)
  )
  image = jnp.where(jitter, jittered, image)
  return 255 * jnp.where(gray, channels.on_colors(_gray)(image), image)


def jitter_views(key: jax.Array, pixels: jax.Array) -> jax.Array:
  """Draws and applies PiPa's color augmentation, see `apply_view_jitter`.

  Args:
    key: a JAX key.
    pixels: [B, H, W, N] in 0..255, uint8 or float; H, W >= 3. RGB if N = 3, see
      `channels` for others.

  Returns:
    [B, H, W, N] float in 0..255.

  Example:
    >>> pixels = jnp.zeros((2, 8, 8, 3), jnp.uint8)
    >>> print(jax.eval_shape(jitter_views, jax.random.key(0), pixels).shape)
    (2, 8, 8, 3)
  """
  return apply_view_jitter(pixels, draw_view_jitter(key, batch=len(pixels)))
