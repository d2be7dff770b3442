"""Color operators on images of any number of channels.

Jitter of hue and saturation, and gray, are defined for red, green and blue.
With more than three channels they change the first three, which are taken for
RGB, and leave the others alone. With one or two, the first is changed as the
gray image (g, g, g), and the second left alone. Blurs change all channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

RGB = 3


def on_colors(change: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
  """Makes an operator on RGB images one on images of any number of channels.

  Args:
    change: `change(image [..., 3], *args) -> [..., 3]`, or [..., 1] for gray.

  Returns:
    `changed(image [..., N], *args) -> [..., N]`: for N = 3 `change` itself.

  Example:
    >>> double = on_colors(lambda image: 2 * image)
    >>> print(double(jnp.ones((1, 4))), double(jnp.ones((1, 1))))
    [[2. 2. 2. 1.]] [[2.]]
  """

  def changed(image: jax.Array, *args: Any) -> jax.Array:
    channels = image.shape[-1]
    if channels == RGB:
      return change(image, *args)
    own = RGB if channels > RGB else 1
    colors = image[..., :own]
    shape = (*colors.shape[:-1], RGB)
    result = change(jnp.broadcast_to(colors, shape), *args)
    result = jnp.broadcast_to(result, shape)[..., :own]
    return jnp.concatenate([result, image[..., own:]], -1)

  return changed
