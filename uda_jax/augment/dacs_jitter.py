"""Colour jitter and Gaussian blur of the self-training systems.

DACS and DAFormer jitter and blur the mixed image with kornia; what their runs
do, sharing of draws included, is reproduced here (released code, kornia
0.5.8). Each operator is a draw and a deterministic part. Images are RGB.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.augment import hsv as hsv_lib

STRENGTH = 0.2
SIGMA_RANGE = (0.15, 1.15)
# Beyond 8 taps a kernel of the largest sigma weighs less than 1e-13.
MAX_RADIUS = 8


class ColorJitter(NamedTuple):
  """The draws of colour jitter, one row an image.

  Attributes:
    brightness: [B], added: v + (brightness - 1).
    contrast: [B], a factor of v (not about the mean).
    saturation: [B], a factor of the saturation.
    hue: [B], turns added to the hue.
    order: [B, 4] int, the order of the operations, numbered as above.
  """

  brightness: jax.Array
  contrast: jax.Array
  saturation: jax.Array
  hue: jax.Array
  order: jax.Array


def draw_color_jitter(
  key: jax.Array, *, batch: int, strength: float = STRENGTH
) -> ColorJitter:
  """Draws factors and an order for each image.

  Args:
    key: a JAX key.
    batch: B.
    strength: factors lie in [1 - strength, 1 + strength], hues in [-strength,
      strength].

  Returns:
    `ColorJitter` with leaves [B] and an order [B, 4].
  """
  factor_key, order_key = jax.random.split(key)
  offset = jax.random.uniform(
    factor_key, (4, batch), minval=-strength, maxval=strength
  )
  order = jax.vmap(lambda k: jax.random.permutation(k, 4))(
    jax.random.split(order_key, batch)
  )
  return ColorJitter(
    1 + offset[0], 1 + offset[1], 1 + offset[2], offset[3], order
  )


def color_jitter(image: jax.Array, draw: ColorJitter) -> jax.Array:
  """Applies the four operations to each image in its own order.

  Args:
    image: [B, H, W, 3] float in [0, 1].
    draw: what `draw_color_jitter` returns.

  Returns:
    [B, H, W, 3] float in [0, 1].
  """
  return jax.vmap(_jitter_one)(image, draw)


def _jitter_one(image: jax.Array, draw: ColorJitter) -> jax.Array:
  """Jitters one image [H, W, 3] without branches.

  Two operations are clipped affine maps, two go through HSV. Whatever the
  order, the HSV ones are two fixed slots and the affine ones stand before,
  between or after them: two round trips through HSV and six cheap maps give
  every order exactly, also under `vmap`, where a switch would compute every
  branch at every place.
  """
  place = jnp.argsort(draw.order)
  affine_place, hsv_place = place[:2], place[2:]
  # Rows: brightness and contrast, saturation and hue; first come, first.
  one = jnp.ones_like(draw.contrast)
  affine = jnp.stack(
    [jnp.stack([one, draw.brightness - 1]), jnp.stack([draw.contrast, 0 * one])]
  )
  affine = affine[jnp.argsort(affine_place)].astype(image.dtype)
  hsv = jnp.stack(
    [jnp.stack([draw.saturation, 0 * one]), jnp.stack([one, draw.hue])]
  )
  hsv = hsv[jnp.argsort(hsv_place)].astype(image.dtype)
  affine_place, hsv_place = jnp.sort(affine_place), jnp.sort(hsv_place)
  # Number of HSV operations before each affine one.
  block = (hsv_place[None] < affine_place[:, None]).sum(-1)

  def affine_block(x, number):
    for i in range(2):
      mapped = jnp.clip(affine[i, 0] * x + affine[i, 1], 0, 1)
      x = jnp.where(block[i] == number, mapped, x)
    return x

  image = affine_block(image, 0)
  image = _scale_hsv(image, hsv[0, 0], hsv[0, 1])
  image = affine_block(image, 1)
  image = _scale_hsv(image, hsv[1, 0], hsv[1, 1])
  return affine_block(image, 2)


def _scale_hsv(image, saturation, hue):
  """Multiplies the saturation, adds turns to the hue."""
  h, s, v = jnp.moveaxis(hsv_lib.rgb_to_hsv(image), -1, 0)
  h = jnp.fmod(h + hue * hsv_lib.TURN, hsv_lib.TURN)
  s = jnp.clip(saturation * s, 0, 1)
  return hsv_lib.hsv_to_rgb(jnp.stack([h, s, v], -1))


def blur_size(length: int) -> int:
  """Returns the side of DACS's blur kernel for an image side (odd)."""
  tenth = np.ceil(0.1 * length)
  return int(np.floor(tenth - 0.5 + tenth % 2))


def gaussian_kernel(sigma: jax.Array, *, size: int) -> jax.Array:
  """Returns sampled Gaussians that sum to 1.

  Args:
    sigma: [...] float > 0, in pixels.
    size: odd number of taps.

  Returns:
    [..., size] float.
  """
  sigma = jnp.asarray(sigma)[..., None]
  x = np.arange(size) - (size - 1) // 2
  weights = jnp.exp(-(x**2) / (2 * sigma**2))
  return weights / weights.sum(-1, keepdims=True)


def draw_blur(key: jax.Array, *, batch: int) -> jax.Array:
  """Draws one sigma an image: [B] float, uniform in [0.15, 1.15)."""
  return jax.random.uniform(
    key, (batch,), minval=SIGMA_RANGE[0], maxval=SIGMA_RANGE[1]
  )


def gaussian_blur(image: jax.Array, sigma: jax.Array) -> jax.Array:
  """Blurs each image, reflecting at the borders (edge pixels not repeated).

  The kernel has a tenth of the image's side, cut at 8 taps on each side: equal
  in float32 for the sigmas that are drawn, and far cheaper.

  Args:
    image: [B, H, W, C] float, any values.
    sigma: [B] float > 0, at most about 1.2.

  Returns:
    [B, H, W, C] float.
  """
  for axis in (1, 2):
    radius = min(blur_size(image.shape[axis]) // 2, MAX_RADIUS)
    kernel = gaussian_kernel(sigma, size=2 * radius + 1).astype(image.dtype)
    pad = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(image, pad, mode='reflect')
    taps = [
      kernel[:, i, None, None, None]
      * jax.lax.slice_in_dim(padded, i, i + image.shape[axis], axis=axis)
      for i in range(2 * radius + 1)
    ]
    image = sum(taps)
  return image


def jitter_is_on(uniform: jax.Array) -> jax.Array:
  """Says if a step jitters: [...] bool from [...] uniform in [0, 1)."""
  # Released code: the option is called a probability of 0.2; it is 0.8.
  return uniform > 0.2


def blur_is_on(uniform: jax.Array) -> jax.Array:
  """Says if a step blurs: [...] bool from [...] uniform in [0, 1)."""
  return uniform > 0.5


class StrongDraw(NamedTuple):
  """The draws of a group: two gates for all images, the rest image by image.

  Attributes:
    gates: [2] uniform in [0, 1), for colour jitter and for blur.
    jitter: `ColorJitter`.
    sigma: [B], of the blur.
  """

  gates: jax.Array
  jitter: ColorJitter
  sigma: jax.Array


def draw_strong(key: jax.Array, *, batch: int) -> StrongDraw:
  """Draws what `apply_strong` needs for B = `batch` images [B, H, W, 3]."""
  gate_key, jitter_key, blur_key = jax.random.split(key, 3)
  return StrongDraw(
    jax.random.uniform(gate_key, (2,)),
    draw_color_jitter(jitter_key, batch=batch),
    draw_blur(blur_key, batch=batch),
  )


def apply_strong(pixels: jax.Array, draw: StrongDraw) -> jax.Array:
  """Jitters and blurs a group, each or neither for all of its images.

  Args:
    pixels: [B, H, W, 3] in 0..255, uint8 or float.
    draw: what `draw_strong` returns.

  Returns:
    [B, H, W, 3] float in 0..255.
  """
  pixels = pixels.astype(jnp.promote_types(pixels.dtype, jnp.float32))
  same = lambda image, _: image
  image = jax.lax.cond(
    jitter_is_on(draw.gates[0]), color_jitter, same, pixels / 255, draw.jitter
  )
  return 255 * jax.lax.cond(
    blur_is_on(draw.gates[1]), gaussian_blur, same, image, draw.sigma
  )


def strong_augment(key: jax.Array, pixels: jax.Array) -> jax.Array:
  """Draws and applies jitter and blur; see `apply_strong`.

  Args:
    key: a JAX key.
    pixels: [B, H, W, 3] in 0..255, uint8 or float.

  Returns:
    [B, H, W, 3] float in 0..255.
  """
  return apply_strong(pixels, draw_strong(key, batch=len(pixels)))
