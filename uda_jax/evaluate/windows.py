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


def _layout(
  full: tuple[int, ...], window: Window
) -> tuple[tuple[int, int], list[tuple[int, int]], np.ndarray]:
  """Returns the size of the windows, their corners and the visits [H, W, 1]."""
  height, width = map(min, window.size, full)
  size = (height, width)
  rows, columns = map(boxes.window_starts, full, size, window.stride)
  starts = [(int(y), int(x)) for y in rows for x in columns]
  visits = np.zeros((*full, 1))
  for y, x in starts:
    visits[y : y + height, x : x + width] += 1
  return size, starts, visits


def sliding_mean_on_host(
  scores: Callable[[np.ndarray], jax.Array], image: np.ndarray, window: Window
) -> np.ndarray:
  """Averages windows like `sliding_mean`, one call of `scores` a window.

  A jitted `scores` is compiled once for images of any size that is not below
  the window's.

  Args:
    scores: see `sliding_mean`.
    image: [B, H, W, N], any dtype that `scores` takes.
    window: its size is cut to the image's.

  Returns:
    [B, H, W, C], at least float32.
  """
  (height, width), starts, visits = _layout(image.shape[1:3], window)
  total: np.ndarray | None = None
  for y, x in starts:
    here = np.asarray(scores(image[:, y : y + height, x : x + width]))
    if total is None:
      dtype = np.promote_types(here.dtype, np.float32)
      total = np.zeros((len(image), *image.shape[1:3], here.shape[-1]), dtype)
    total[:, y : y + height, x : x + width] += here
  assert total is not None  # an image has a window
  return total / visits.astype(total.dtype)


def sliding_mean(
  scores: Callable[[jax.Array], jax.Array], image: jax.Array, window: Window
) -> jax.Array:
  """Averages the scores of overlapping windows by the number of visits.

  Args:
    scores: `scores(image [B, h, w, N]) -> [B, h, w, C]` of one window.
    image: [B, H, W, N] float, as the network wants it.
    window: its size is cut to the image's.

  Returns:
    [B, H, W, C], at least float32.
  """
  full = image.shape[1:3]
  size, corners, visits = _layout(full, window)
  starts = np.array(corners)
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
