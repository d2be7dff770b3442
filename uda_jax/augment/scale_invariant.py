"""Scale-invariant examples: windows enlarged with the labels of the whole.

LSE (arXiv 2007.14449): a window of a target image is enlarged to the size of
the image and keeps the prediction that the network made at the normal scale.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import labels
from uda_jax.ops import resize


def draw_windows(
  key: jax.Array,
  image_size: tuple[int, int],
  window: tuple[int, int],
  *,
  count: int,
) -> jax.Array:
  """Draws where windows begin; all places are equally likely.

  Args:
    key: a JAX key.
    image_size: (height, width).
    window: (height, width), at most the image's.
    count: how many; they may overlap.

  Returns:
    [count, 2] int32, (y, x) of the upper left corners, the last possible ones
    included.
  """
  last = np.subtract(image_size, window)
  return jax.random.randint(key, (count, 2), 0, last + 1)


def zoom(
  x: jax.Array, start: jax.Array, *, window: tuple[int, int]
) -> jax.Array:
  """Enlarges a window to the size of the whole, corners on corners.

  Args:
    x: [H, W, C] float.
    start: [2] int, (y, x) of the window; it must lie inside.
    window: (height, width) of the window.

  Returns:
    [H, W, C].
  """
  cut = jax.lax.dynamic_slice(
    x, (*start, jnp.zeros_like(start[0])), (*window, x.shape[-1])
  )
  return resize.bilinear(cut, x.shape[:2], align_corners=True)


def zoom_label(
  prob: jax.Array,
  keep: jax.Array,
  start: jax.Array,
  *,
  window: tuple[int, int],
  keep_rule: str = 'any',
) -> jax.Array:
  """Labels an enlarged window by the enlarged probabilities.

  Args:
    prob: [H, W, C] float, predicted at the normal scale.
    keep: [H, W] bool, the pixels whose prediction is to be trusted.
    start: [2] int, (y, x) of the window.
    window: (height, width) of the window.
    keep_rule: an enlarged pixel is labelled if 'any' of the pixels that it is
      mixed from is kept (released code), or only if all are ('full').

  Returns:
    [H, W] int32, `IGNORE_LABEL` where not labelled.
  """
  if keep_rule not in ('any', 'full'):
    raise ValueError(
      f"config.rounds.keep_rule: expected 'any' or 'full', got {keep_rule!r}"
    )
  size = prob.shape[:2]
  label = jnp.argmax(zoom(prob, start, window=window), -1)
  part = jax.lax.dynamic_slice(keep, (start[0], start[1]), window)
  if keep_rule == 'any':
    labelled = _any_mixed(part, size)
  else:
    labelled = ~_any_mixed(~part, size)
  return jnp.where(labelled, label, labels.IGNORE_LABEL).astype(jnp.int32)


def _any_mixed(mask: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Whether any pixel that an enlarged pixel is mixed from is set."""
  rows, columns = (_mixes(n, out) for n, out in zip(mask.shape, size))
  # Counts of pixels, so the products are exact.
  return (rows @ mask.astype(jnp.float32) @ columns.T) > 0


def _mixes(n: int, out: int) -> np.ndarray:
  """Returns [out, n], 1 where an input has a share in an output.

  In float32, as PyTorch computes places: where a place should be a whole
  number, its rounding decides whether a neighbour has a tiny share.
  """
  step = np.float32(n - 1) / np.float32(max(out - 1, 1))
  place = np.arange(out, dtype=np.float32) * step
  low = np.minimum(place.astype(int), n - 1)
  mixes = np.zeros((out, n), np.float32)
  mixes[np.arange(out), low] = 1
  mixes[np.arange(out), np.minimum(low + (place > low), n - 1)] = 1
  return mixes


def to_pixels(image: jax.Array) -> jax.Array:
  """Makes 8-bit pixels: truncates 255 v, as the released code stores images.

  Args:
    image: [..., 3] float in [0, 1], clipped to it.

  Returns:
    [..., 3] uint8; the pixels of an image that was not enlarged come back.
  """
  return jnp.floor(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)
