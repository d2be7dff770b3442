"""Color jitter, gray and blur of VFM-UDA and VFM-UDA++ (released code).

torchvision's `ColorJitter` on floats: every image has its own factors, order
and gates. Images are RGB.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.augment import channels
from uda_jax.augment import dacs_jitter
from uda_jax.augment import filters
from uda_jax.augment import torchvision_jitter

# Standard deviations that a blur kernel reaches: what is cut off weighs less
# than 1e-14.
_REACH = 8


class Strength(NamedTuple):
  """Ranges and probabilities of the operations.

  Attributes:
    offset: of brightness, contrast, saturation (factors are uniform in
      [1 - offset, 1 + offset), not below 0) and hue (turns in
      [-offset, offset)).
    jitter: probability of the color jitter of an image.
    gray: probability of gray instead of color.
    blur: probability of the blur.
    sigma: lowest and highest standard deviation of the blur, in pixels.
  """

  offset: tuple[float, float, float, float]
  jitter: float
  gray: float = 0.0
  blur: float = 0.0
  sigma: tuple[float, float] = (0.15, 1.15)


# VFM-UDA: the source, and the target before it is mixed.
WEAK = Strength((32 / 255, 0.5, 0.5, 18 / 360), jitter=0.9)
# Both: mixed and masked images.
UDA = Strength((0.2, 0.2, 0.2, 0.2), jitter=0.8, blur=0.5)
# VFM-UDA++: the source.
STRONG = Strength(
  (0.8, 0.8, 0.8, 0.4), jitter=0.8, gray=0.1, blur=0.5, sigma=(0.15, 3.0)
)


class Draw(NamedTuple):
  """Random draws of `apply` for B images.

  Attributes:
    on: [B, 3] bool, whether the image is jittered, made gray, blurred.
    factor: [B, 4] float, factors of brightness, contrast and saturation; turns
      added to the hue.
    order: [B, 4] int, order of the operations, numbered as in `factor`.
    sigma: [B] float > 0, of the blur, in pixels.
  """

  on: jax.Array
  factor: jax.Array
  order: jax.Array
  sigma: jax.Array


def draw(key: jax.Array, strength: Strength, *, batch: int) -> Draw:
  """Draws the augmentation of each image.

  Args:
    key: a JAX key.
    strength: ranges and probabilities.
    batch: B.

  Returns:
    Draws for `apply` on images [B, H, W, 3].

  Example:
    >>> print(draw(jax.random.key(0), WEAK, batch=2).factor.shape)
    (2, 4)
  """
  gate_key, factor_key, order_key, sigma_key = jax.random.split(key, 4)
  chance = jnp.array([strength.jitter, strength.gray, strength.blur])
  offset = jnp.array(strength.offset)
  base = jnp.array([1.0, 1.0, 1.0, 0.0])
  low = base - offset
  low = jnp.where(base > 0, jnp.maximum(low, 0), low)
  return Draw(
    jax.random.uniform(gate_key, (batch, 3)) < chance,
    jax.random.uniform(
      factor_key, (batch, 4), minval=low, maxval=base + offset
    ),
    torchvision_jitter.draw_orders(order_key, batch=batch),
    jax.random.uniform(
      sigma_key, (batch,), minval=strength.sigma[0], maxval=strength.sigma[1]
    ),
  )


def _blur(image: jax.Array, sigma: jax.Array, taps: int) -> jax.Array:
  """Blurs one image [H, W, N], reflecting at the borders."""
  kernel = filters.gaussian_kernel(sigma[None], size=taps)
  return filters.separable_filter(image[None], kernel, kernel)[0]


def apply(
  pixels: jax.Array,
  draw: Draw,
  strength: Strength,
  *,
  blur_size: int | None = None,
) -> jax.Array:
  """Jitters, makes gray and blurs each image as drawn.

  Args:
    pixels: [B, H, W, N] in 0..255, uint8 or float; RGB if N = 3, see
      `channels` for others.
    draw: result of `draw`.
    strength: what `draw` was given.
    blur_size: odd number of taps of the blur's kernel; None: that of
      `dacs_jitter.blur_size` for the shorter side of the image. Taps beyond 8
      standard deviations are left out.

  Returns:
    [B, H, W, N] float in 0..255.

  Example:
    >>> pixels = jnp.full((1, 16, 16, 3), 90, jnp.uint8)
    >>> one = draw(jax.random.key(0), WEAK, batch=1)
    >>> off = one._replace(on=jnp.zeros((1, 3), bool))
    >>> print(apply(pixels, off, WEAK)[0, 0, 0])
    [90. 90. 90.]
  """
  same = lambda x, *_: x
  jitter = channels.on_colors(torchvision_jitter.jitter)
  gray = channels.on_colors(torchvision_jitter.gray)
  if blur_size is None:
    blur_size = dacs_jitter.blur_size(min(pixels.shape[1:3]))
  reach = math.ceil(_REACH * strength.sigma[1])
  taps = 2 * min(blur_size // 2, reach) + 1
  blur = lambda x, sigma: _blur(x, sigma, taps)

  def one(args: tuple[jax.Array, Draw]) -> jax.Array:
    image, draw = args
    image = jax.lax.cond(
      draw.on[0], jitter, same, image, draw.factor, draw.order
    )
    if strength.gray:
      image = jnp.where(draw.on[1], gray(image), image)
    if strength.blur:
      image = jax.lax.cond(draw.on[2], blur, same, image, draw.sigma)
    return image

  image = pixels.astype(jnp.promote_types(pixels.dtype, jnp.float32)) / 255
  # Image by image: under `vmap` a switch computes all of its branches.
  return 255 * jax.lax.map(one, (image, draw))


def augment(key: jax.Array, pixels: jax.Array, strength: Strength) -> jax.Array:
  """Draws and applies an augmentation, see `apply`.

  Args:
    key: a JAX key.
    pixels: [B, H, W, N] in 0..255, uint8 or float; RGB if N = 3, see
      `channels` for others.
    strength: ranges and probabilities, such as `WEAK`.

  Returns:
    [B, H, W, N] float in 0..255.

  Example:
    >>> pixels = jnp.zeros((2, 16, 16, 3), jnp.uint8)
    >>> print(augment(jax.random.key(0), pixels, UDA).dtype)
    float32
  """
  return apply(pixels, draw(key, strength, batch=len(pixels)), strength)
