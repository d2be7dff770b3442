"""Color jitter and Gaussian blur of mixed images (DACS, DAFormer).

Reproduces the released code of DACS (arXiv 2007.08702) and DAFormer (arXiv
2111.14887), which use kornia 0.5.8, including the draws that the images of a
batch share. Each operator is a random draw and a deterministic function of it.
Images are RGB.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.augment import channels
from uda_jax.augment import filters
from uda_jax.augment import hsv as hsv_lib
from uda_jax.ops import dtypes

STRENGTH = 0.2
SIGMA_RANGE = (0.15, 1.15)
# Beyond 8 taps a kernel of the largest sigma weighs less than 1e-13.
MAX_RADIUS = 8


class ColorJitter(NamedTuple):
  """Random draws of color jitter for B images.

  Attributes:
    brightness: [B], v becomes v + (brightness - 1).
    contrast: [B], v becomes contrast * v (not relative to the mean).
    saturation: [B], factor of the saturation.
    hue: [B], turns added to the hue.
    order: [B, 4] int, order of the operations, numbered as above.
  """

  brightness: jax.Array
  contrast: jax.Array
  saturation: jax.Array
  hue: jax.Array
  order: jax.Array


def draw_color_jitter(
  key: jax.Array, *, batch: int, strength: float = STRENGTH
) -> ColorJitter:
  """Draws the factors and the order of color jitter for each image.

  Args:
    key: a JAX key.
    batch: B.
    strength: factors are uniform in [1 - strength, 1 + strength), hues in
      [-strength, strength).

  Returns:
    Fields [B] and an order [B, 4].

  Example:
    >>> jitter = draw_color_jitter(jax.random.key(0), batch=2)
    >>> print(jitter.hue.shape, jnp.sort(jitter.order))
    (2,) [[0 1 2 3]
     [0 1 2 3]]
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
  """Changes brightness, contrast, saturation and hue in each image's order.

  Args:
    image: [B, H, W, 3] float in [0, 1], RGB.
    draw: result of `draw_color_jitter`.

  Returns:
    [B, H, W, 3] float in [0, 1].

  Raises:
    TypeError: `image` is not float.
  """
  dtypes.check_float(image, name='image')
  return jax.vmap(_jitter_one)(image, draw)


def _jitter_one(image: jax.Array, draw: ColorJitter) -> jax.Array:
  """Jitters one image [H, W, 3] without branches.

  Two operations are clipped affine maps, two work in HSV. In every order the
  affine maps come before, between or after the two HSV operations, so two
  conversions to HSV and six affine maps, each applied or not, compute any order
  exactly. Under `vmap` a switch would compute all branches of every position.
  """
  place = jnp.argsort(draw.order)
  affine_place, hsv_place = place[:2], place[2:]
  # Rows: the two operations of a kind, in the order in which they come.
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

  def affine_block(x: jax.Array, number: int) -> jax.Array:
    for i in range(2):
      mapped = jnp.clip(affine[i, 0] * x + affine[i, 1], 0, 1)
      x = jnp.where(block[i] == number, mapped, x)
    return x

  image = affine_block(image, 0)
  image = _scale_hsv(image, hsv[0, 0], hsv[0, 1])
  image = affine_block(image, 1)
  image = _scale_hsv(image, hsv[1, 0], hsv[1, 1])
  return affine_block(image, 2)


def _scale_hsv(
  image: jax.Array, saturation: jax.Array, hue: jax.Array
) -> jax.Array:
  """Multiplies the saturation and adds turns to the hue."""
  h, s, v = jnp.moveaxis(hsv_lib.rgb_to_hsv(image), -1, 0)
  h = jnp.fmod(h + hue * hsv_lib.TURN, hsv_lib.TURN)
  s = jnp.clip(saturation * s, 0, 1)
  return hsv_lib.hsv_to_rgb(jnp.stack([h, s, v], -1))


def blur_size(length: int) -> int:
  """Number of taps of DACS's blur kernel for an image side, odd.

  Example:
    >>> blur_size(512), blur_size(1024)
    (51, 103)
  """
  tenth = np.ceil(0.1 * length)
  return int(np.floor(tenth - 0.5 + tenth % 2))


def draw_blur(key: jax.Array, *, batch: int) -> jax.Array:
  """Draws one sigma per image, [B] float, uniform in [0.15, 1.15)."""
  return jax.random.uniform(
    key, (batch,), minval=SIGMA_RANGE[0], maxval=SIGMA_RANGE[1]
  )


def gaussian_blur(image: jax.Array, sigma: jax.Array) -> jax.Array:
  """Blurs each image, reflecting at the borders (edge pixels not repeated).

  DACS's kernel covers a tenth of the image's side; here it is cut at 8 taps on
  each side, which gives the same float32 values for the sigmas of `draw_blur`.

  Args:
    image: [B, H, W, C] float, any values.
    sigma: [B] float > 0, in pixels, at most about 1.2.

  Returns:
    [B, H, W, C] float.

  Raises:
    TypeError: `image` is not float.

  Example:
    >>> image = jnp.zeros((1, 31, 31, 1)).at[0, 15, 15].set(1.0)
    >>> print(gaussian_blur(image, jnp.array([0.5]))[0, 14:17, 14:17, 0])
    [[0.0113 0.0838 0.0113]
     [0.0838 0.6193 0.0838]
     [0.0113 0.0838 0.0113]]
  """
  vertical, horizontal = (
    filters.gaussian_kernel(
      sigma, size=2 * min(blur_size(side) // 2, MAX_RADIUS) + 1
    )
    for side in image.shape[1:3]
  )
  return filters.separable_filter(image, vertical, horizontal)


def jitter_is_on(uniform: jax.Array) -> jax.Array:
  """True where a uniform draw in [0, 1) turns color jitter on; [...] bool."""
  # Named a probability of 0.2 in the released code; it is 0.8.
  return uniform > 0.2


def blur_is_on(uniform: jax.Array) -> jax.Array:
  """True where a uniform draw in [0, 1) turns blur on; [...] bool."""
  return uniform > 0.5


class StrongDraw(NamedTuple):
  """Random draws of `apply_strong` for a group of B images.

  Attributes:
    gates: [2] uniform in [0, 1), turn color jitter and blur on for all images.
    jitter: color jitter of each image.
    sigma: [B] float, sigma of the blur of each image.
  """

  gates: jax.Array
  jitter: ColorJitter
  sigma: jax.Array


def draw_strong(key: jax.Array, *, batch: int) -> StrongDraw:
  """Draws color jitter and blur for a group.

  Args:
    key: a JAX key.
    batch: B.

  Returns:
    Draws for `apply_strong` on images [B, H, W, 3].

  Example:
    >>> print(draw_strong(jax.random.key(0), batch=2).sigma.shape)
    (2,)
  """
  gate_key, jitter_key, blur_key = jax.random.split(key, 3)
  return StrongDraw(
    jax.random.uniform(gate_key, (2,)),
    draw_color_jitter(jitter_key, batch=batch),
    draw_blur(blur_key, batch=batch),
  )


def apply_strong(pixels: jax.Array, draw: StrongDraw) -> jax.Array:
  """Jitters and blurs a group; each is on or off for all of its images.

  Args:
    pixels: [B, H, W, N] in 0..255, uint8 or float; RGB if N = 3, see
      `channels` for others.
    draw: result of `draw_strong`.

  Returns:
    [B, H, W, N] float in 0..255.

  Example:
    >>> draw = draw_strong(jax.random.key(0), batch=2)
    >>> pixels = jnp.zeros((2, 16, 16, 3), jnp.uint8)
    >>> print(jax.eval_shape(apply_strong, pixels, draw).dtype)
    float32
  """
  pixels = pixels.astype(jnp.promote_types(pixels.dtype, jnp.float32))
  same = lambda image, _: image
  jitter = channels.on_colors(color_jitter)
  image = jax.lax.cond(
    jitter_is_on(draw.gates[0]), jitter, same, pixels / 255, draw.jitter
  )
  return 255 * jax.lax.cond(
    blur_is_on(draw.gates[1]), gaussian_blur, same, image, draw.sigma
  )


def strong_augment(key: jax.Array, pixels: jax.Array) -> jax.Array:
  """Draws and applies color jitter and blur, see `apply_strong`.

  Args:
    key: a JAX key.
    pixels: [B, H, W, N] in 0..255, uint8 or float, as for `apply_strong`.

  Returns:
    [B, H, W, N] float in 0..255.

  Example:
    >>> pixels = jnp.zeros((2, 16, 16, 3), jnp.uint8)
    >>> print(jax.eval_shape(strong_augment, jax.random.key(0), pixels).dtype)
    float32
  """
  return apply_strong(pixels, draw_strong(key, batch=len(pixels)))
