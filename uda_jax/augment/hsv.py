"""Conversion between RGB and HSV in float, as in kornia 0.5.8.

Hue is in radians, saturation divides by value + 1e-6, and the first of equal
maxima determines the sector of the hue.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax.ops import dtypes

TURN = 2 * jnp.pi


def rgb_to_hsv(rgb: jax.Array) -> jax.Array:
  """Converts RGB to hue, saturation and value.

  Args:
    rgb: [..., 3] float in [0, 1].

  Returns:
    [..., 3] float: hue in [0, 2 pi), saturation in [0, 1), value in [0, 1].

  Raises:
    TypeError: `rgb` is not float.

  Example:
    >>> print(rgb_to_hsv(jnp.array([0.0, 0.5, 0.5])))
    [3.1416 1.     0.5   ]
  """
  dtypes.check_float(rgb, name='rgb')
  r, g, b = jnp.moveaxis(rgb, -1, 0)
  value = jnp.maximum(jnp.maximum(r, g), b)
  spread = value - jnp.minimum(jnp.minimum(r, g), b)
  saturation = spread / (value + 1e-6)
  spread = jnp.where(spread == 0, 1, spread)
  rc, gc, bc = value - r, value - g, value - b
  sector = jnp.where(
    r == value,
    bc - gc,
    jnp.where(g == value, 2 * spread + rc - bc, 4 * spread + gc - rc),
  )
  hue = TURN * jnp.mod(sector / spread / 6, 1)
  return jnp.stack([hue, saturation, value], -1)


def hsv_to_rgb(hsv: jax.Array) -> jax.Array:
  """Converts hue, saturation and value to RGB.

  Args:
    hsv: [..., 3] float: hue in radians (any number of turns), saturation and
      value in [0, 1].

  Returns:
    [..., 3] float in [0, 1].

  Example:
    >>> print(hsv_to_rgb(jnp.array([jnp.pi, 1.0, 0.5])))
    [0.  0.5 0.5]
  """
  hue, saturation, value = jnp.moveaxis(hsv, -1, 0)
  turn = hue / TURN * 6
  sector = jnp.mod(jnp.floor(turn), 6)
  f = jnp.mod(turn, 6) - sector
  p = value * (1 - saturation)
  q = value * (1 - f * saturation)
  t = value * (1 - (1 - f) * saturation)
  pick = lambda *choices: jnp.select([sector == i for i in range(6)], choices)
  return jnp.stack(
    [
      pick(value, q, p, p, t, value),
      pick(t, value, value, q, p, p),
      pick(p, p, t, value, value, q),
    ],
    -1,
  )
