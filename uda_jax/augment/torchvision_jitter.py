"""Color jitter as torchvision defines it, on floats: `ColorJitter`.

Every image has its own factors and its own order of the four operations, as
torchvision draws them at each call. Images are RGB.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.augment import hsv
from uda_jax.ops import dtypes


def draw_orders(key: jax.Array, *, batch: int) -> jax.Array:
  """Draws the order of the operations of each image, [B, 4] int."""
  keys = jax.random.split(key, batch)
  return jax.vmap(lambda k: jax.random.permutation(k, 4))(keys)


def gray(image: jax.Array) -> jax.Array:
  """Returns torchvision's luma [..., 1] of a float image [..., 3]."""
  dtypes.check_float(image, name='image')
  weights = jnp.array([0.2989, 0.587, 0.114], image.dtype)
  return (image * weights).sum(-1, keepdims=True)


def _blend(
  image: jax.Array, other: jax.Array | float, weight: jax.Array
) -> jax.Array:
  return jnp.clip(weight * image + (1 - weight) * other, 0, 1)


def _shift_hue(image: jax.Array, turns: jax.Array) -> jax.Array:
  shift = hsv.TURN * turns * jnp.array([1, 0, 0], image.dtype)
  return jnp.clip(hsv.hsv_to_rgb(hsv.rgb_to_hsv(image) + shift), 0, 1)


# (image [H, W, 3], factor []) -> image: brightness, contrast, saturation, hue.
_OPERATIONS = (
  lambda x, factor: jnp.clip(factor * x, 0, 1),
  lambda x, factor: _blend(x, gray(x).mean(), factor),
  lambda x, factor: _blend(x, gray(x), factor),
  _shift_hue,
)


def jitter(image: jax.Array, factor: jax.Array, order: jax.Array) -> jax.Array:
  """Changes brightness, contrast, saturation and hue in the given order.

  Under `vmap` the switch computes all branches: use `jax.lax.map` over images.

  Args:
    image: [H, W, 3] float in [0, 1].
    factor: [4] float, factors of brightness, contrast and saturation; turns
      added to the hue.
    order: [4] int, order of the operations, numbered as in `factor`.

  Returns:
    [H, W, 3] float in [0, 1].

  Raises:
    TypeError: `image` is not float.
  """
  dtypes.check_float(image, name='image')
  factor = factor.astype(image.dtype)
  for place in range(len(_OPERATIONS)):
    number = order[place]
    image = jax.lax.switch(number, _OPERATIONS, image, factor[number])
  return image
