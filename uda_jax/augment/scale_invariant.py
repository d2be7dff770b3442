"""Scale-invariant examples of LSE (arXiv 2007.14449).

A window of a target image is enlarged to the size of the image and labeled by
the network's prediction at the normal scale.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import labels
from uda_jax.ops import resize

# When an enlarged pixel is labeled, see `zoom_label`.
KEEP_RULES = ('any', 'full')


def draw_windows(
  key: jax.Array,
  image_size: tuple[int, ...],
  window: tuple[int, ...],
  *,
  count: int,
) -> jax.Array:
  """Draws the upper left corners of windows, uniformly.

  Args:
    key: a JAX key.
    image_size: (height, width).
    window: (height, width), at most the size of the image.
    count: number of windows; they may overlap.

  Returns:
    [count, 2] int32 (y, x), from 0 to `image_size` - `window` inclusive.

  Example:
    >>> print(draw_windows(jax.random.key(0), (6, 9), (6, 9), count=1))
    [[0 0]]
  """
  last = np.subtract(image_size, window)
  return jax.random.randint(key, (count, 2), 0, last + 1)


def zoom(
  x: jax.Array, start: jax.Array, *, window: tuple[int, ...]
) -> jax.Array:
  """Enlarges a window to the size of the image, with aligned corners.

  Args:
    x: [H, W, C] float, any values.
    start: [2] int (y, x), upper left corner of a window inside the image.
    window: (height, width) of the window.

  Returns:
    [H, W, C] float.

  Example:
    >>> x = jnp.arange(5.0).reshape(1, 5, 1)
    >>> print(zoom(x, jnp.array([0, 1]), window=(1, 3))[0, :, 0])
    [1.  1.5 2.  2.5 3. ]
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
  window: tuple[int, ...],
  keep_rule: str = 'any',
) -> jax.Array:
  """Labels an enlarged window by the most probable class.

  Args:
    prob: [H, W, C] float in [0, 1], predicted at the normal scale.
    keep: [H, W] bool, True where the prediction may become a label.
    start: [2] int (y, x), upper left corner of a window inside the image.
    window: (height, width) of the window.
    keep_rule: 'any': an enlarged pixel is labeled if any pixel that it is
      interpolated from is kept (released code); 'full': only if all are.

  Returns:
    [H, W] int32 in [0, C), `IGNORE_LABEL` for pixels without a label.

  Raises:
    ValueError: `keep_rule` is neither.

  Example:
    >>> prob = jax.nn.one_hot(jnp.array([[0, 1, 2]]), 3)
    >>> keep = jnp.array([[True, True, False]])
    >>> print(zoom_label(prob, keep, jnp.array([0, 1]), window=(1, 2)))
    [[  1   1 255]]
  """
  if keep_rule not in KEEP_RULES:
    raise ValueError(
      f'keep_rule: expected one of {KEEP_RULES}, got {keep_rule!r}'
    )
  size = prob.shape[:2]
  label = jnp.argmax(zoom(prob, start, window=window), -1)
  part = jax.lax.dynamic_slice(keep, (start[0], start[1]), window)
  if keep_rule == 'any':
    labeled = _any_mixed(part, size)
  else:
    labeled = ~_any_mixed(jnp.logical_not(part), size)
  return jnp.where(labeled, label, labels.IGNORE_LABEL).astype(jnp.int32)


def _any_mixed(mask: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """True where an enlarged pixel is interpolated from any True pixel."""
  rows, columns = (_mixes(n, out) for n, out in zip(mask.shape, size))
  # The products are counts of pixels, exact in float32.
  return (rows @ mask.astype(jnp.float32) @ columns.T) > 0


def _mixes(n: int, out: int) -> np.ndarray:
  """Matrix [out, n], 1 where an output is interpolated from an input.

  Coordinates are computed in float32, as in PyTorch: where a coordinate should
  be an integer, its rounding decides whether a neighbor gets a tiny weight.
  """
  step = np.float32(n - 1) / np.float32(max(out - 1, 1))
  place = np.arange(out, dtype=np.float32) * step
  low = np.minimum(place.astype(int), n - 1)
  mixes = np.zeros((out, n), np.float32)
  mixes[np.arange(out), low] = 1
  mixes[np.arange(out), np.minimum(low + (place > low), n - 1)] = 1
  return mixes


def to_pixels(image: jax.Array) -> jax.Array:
  """Converts to 8-bit pixels: clips, then truncates 255 v (released code).

  Args:
    image: [..., 3] float, nominally in [0, 1].

  Returns:
    [..., 3] uint8; 8-bit pixels divided by 255 are restored exactly.

  Example:
    >>> print(to_pixels(jnp.array([-0.1, 0.999, 1.1])))
    [  0 254 255]
  """
  return jnp.floor(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)
