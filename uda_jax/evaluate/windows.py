"""Predictions of large images from overlapping windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.ops import boxes


class Window(NamedTuple):
  """A sliding window: (height, width), and the steps down and right."""

  size: tuple[int, int]
  stride: tuple[int, int]


def sliding_mean(
  scores: Callable[[jax.Array], jax.Array], image: jax.Array, window: Window
) -> jax.Array:
  """Averages the scores of overlapping windows by the number of visits.

  Args:
    scores: `scores(image [B, h, w, 3]) -> [B, h, w, C]` of one window.
    image: [B, H, W, 3] float, as the network wants it.
    window: its size is cut to the image's.

  Returns:
    [B, H, W, C], at least float32.
  """
  full = image.shape[1:3]
  size = tuple(map(min, window.size, full))
  rows, columns = map(boxes.window_starts, full, size, window.stride)
  starts = np.array([(y, x) for y in rows for x in columns])
  visits = np.zeros((*full, 1))
  for y, x in starts:
    visits[y : y + size[0], x : x + size[1]] += 1
  cut = lambda start: jax.lax.dynamic_slice(
    image, (0, start[0], start[1], 0), (image.shape[0], *size, image.shape[3])
  )
  shape = jax.eval_shape(lambda start: scores(cut(start)), starts[0])
  total = jnp.zeros(
    (shape.shape[0], *full, shape.shape[3]),
    jnp.promote_types(shape.dtype, jnp.float32),
  )

  def add(total, start):
    corner = (0, start[0], start[1], 0)
    here = scores(cut(start)).astype(total.dtype)
    here += jax.lax.dynamic_slice(total, corner, here.shape)
    return jax.lax.dynamic_update_slice(total, here, corner), None

  # One loop body for any number of windows: one compiled forward pass.
  total, _ = jax.lax.scan(add, total, starts)
  return total / visits.astype(total.dtype)
