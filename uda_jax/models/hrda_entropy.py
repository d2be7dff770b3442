"""Detail boxes of HRDA at the windows of highest entropy (CLUDA).

CLUDA (arXiv 2208.14227) chooses the detail crop of mixed images in this manner
late in training; after its released code.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.ops import boxes as boxes_lib
from uda_jax.ops import resize

RULES = ('clean', 'released')
# As released, for every number of classes; the scale changes no choice.
SCALE = 19 * math.log(19)


def entropy(logits: jax.Array) -> jax.Array:
  """Returns the entropy of every pixel's prediction.

  Args:
    logits: [B, h, w, C] float, any values; a probability of exactly 0 counts
      as 1e-8.

  Returns:
    [B, h, w] float, divided by 19 ln 19.
  """
  prob = jax.nn.softmax(logits)
  prob = jnp.where(prob == 0, jnp.asarray(1e-8, prob.dtype), prob)
  return -(prob * jnp.log(prob)).sum(-1) / SCALE


def max_entropy_boxes(
  logits: jax.Array,
  image_size: tuple[int, ...],
  crop_size: tuple[int, int],
  *,
  stride: tuple[int, int],
  rule: str,
) -> jax.Array:
  """Returns each image's sliding window of largest mean entropy.

  Args:
    logits: [B, h, w, C] float, of the whole images.
    image_size: (height, width) of the images, to which the entropy is
      enlarged by picking the nearest pixel.
    crop_size: (height, width) of the windows.
    stride: their steps down and right.
    rule: 'clean': the largest, the first among equals; 'released': see
      `_released_scan`.

  Returns:
    [B, 4] int32 boxes (top, bottom, left, right) in pixels of the images.
  """
  boxes = boxes_lib.sliding_boxes(image_size, crop_size, stride)
  enlarged = resize.nearest(entropy(logits), image_size)
  choose = {'clean': _largest, 'released': _released_scan}[rule]
  return jnp.asarray(boxes)[choose(enlarged, boxes)]


def _largest(values: jax.Array, boxes: np.ndarray) -> jax.Array:
  """Returns the index [B] of the window of largest mean."""
  means = [values[:, y1:y2, x1:x2].mean((1, 2)) for y1, y2, x1, x2 in boxes]
  return jnp.argmax(jnp.stack(means), 0)


def _released_scan(values: jax.Array, boxes: np.ndarray) -> jax.Array:
  """Returns the index [B] of the window that the released scan ends with.

  Its running best is a view of the first window, into which every better
  window is copied: later windows that overlap the first are scored on the
  altered map.
  """
  best = jnp.zeros(len(values), jnp.int32)
  y1, y2, x1, x2 = boxes[0]
  first = values[:, y1:y2, x1:x2]
  for i, (top, bottom, left, right) in enumerate(boxes[1:], 1):
    values = values.at[:, y1:y2, x1:x2].set(first)
    window = values[:, top:bottom, left:right]
    better = window.mean((1, 2)) > first.mean((1, 2))
    first = jnp.where(better[:, None, None], window, first)
    best = jnp.where(better, i, best)
  return best
