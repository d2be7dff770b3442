"""What EHTDI pastes: some source classes, and the borders of what was pasted.

arXiv 2208.06100, released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import labels
from uda_jax.augment import classmix
from uda_jax.augment import weak_strong


class PastedViews(NamedTuple):
  """The target's views with the source's classes in them.

  Attributes:
    strong: [B, h, w, 3] pixels.
    weak: [B, h, w, 3] pixels.
    label: [B, h, w] int32, the source's labels in the pasted pixels.
    pasted: [B, h, w] bool.
  """

  strong: jax.Array
  weak: jax.Array
  label: jax.Array
  pasted: jax.Array


def _order(num_classes: int, pool: Sequence[int]) -> np.ndarray:
  """The ids in the order of the draw: ignored, other classes, the pool's."""
  others = [c for c in range(num_classes) if c not in pool]
  return np.array([labels.IGNORE_LABEL, *others, *sorted(pool)])


def classes_present(
  label: jax.Array, *, num_classes: int, pool: Sequence[int]
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Says which ids occur in each image, and how many of them.

  Args:
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    num_classes: C.
    pool: the classes that are drawn from.

  Returns:
    Which ids occur ([B, C + 1] bool: ignored, the classes outside the pool,
    those of the pool), the number of them and that of the pool's, [B] int32.
  """
  ids = _order(num_classes, pool)
  occurs = (label[..., None] == ids).any((1, 2))
  in_pool = np.isin(ids, pool)
  return occurs, occurs.sum(-1), (occurs & in_pool).sum(-1)


def draw_paste_positions(
  key: jax.Array, label: jax.Array, *, num_classes: int, pool: Sequence[int]
) -> jax.Array:
  """Draws half of the pool's n classes in each image: positions in 0..n-1.

  Without replacement, n // 2 of them, or the only one if n = 1.

  Args:
    key: a JAX key.
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    num_classes: C.
    pool: the classes that are drawn from.

  Returns:
    [B, C + 1] bool, True at the positions drawn; nothing where n = 0.
  """
  _, _, count = classes_present(label, num_classes=num_classes, pool=pool)
  count = count[:, None]
  position = jnp.arange(num_classes + 1)
  score = jax.random.uniform(key, (len(label), num_classes + 1))
  score = jnp.where(position < count, score, jnp.inf)
  rank = jnp.argsort(jnp.argsort(score, -1), -1)
  drawn = jnp.where(count < 2, count, count // 2)
  return rank < drawn


def paste_mask(
  label: jax.Array, drawn: jax.Array, *, pool: Sequence[int], offset: int = 0
) -> jax.Array:
  """Returns where the label is one of the classes drawn.

  Args:
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    drawn: [B, C + 1] bool, see `draw_paste_positions`.
    pool: the classes that are drawn from, those after all others.
    offset: added to the positions among all ids that occur (ignored first); 0
      takes the pool's classes. The released code has -1: the class before the
      drawn one is taken, be it outside the pool or the ignored label, and the
      last one instead of the one before the first.

  Returns:
    [B, H, W] bool.
  """
  num_classes = drawn.shape[-1] - 1
  occurs, total, count = classes_present(
    label, num_classes=num_classes, pool=pool
  )
  total, count = total[:, None], count[:, None]
  place = jnp.cumsum(occurs, -1) - 1
  position = jnp.mod(place - (total - count) - offset, total)
  chosen = occurs & jnp.take_along_axis(
    drawn, jnp.minimum(position, num_classes), -1
  )
  is_chosen = (label[..., None] == _order(num_classes, pool)) & (
    chosen[:, None, None]
  )
  return is_chosen.any(-1)


def mask_border(mask: jax.Array) -> jax.Array:
  """Returns the pixels whose 2 x 2 window holds both inside and outside.

  The window is the pixel, those above, on the left and between, as far as they
  exist: dilation minus erosion with OpenCV's 2 x 2 box.

  Args:
    mask: [B, H, W] bool.

  Returns:
    [B, H, W] bool; nothing of a mask that is empty or full.
  """
  padded = jnp.pad(mask, ((0, 0), (1, 0), (1, 0)), mode='edge')
  height, width = mask.shape[1:]
  window = [
    padded[:, i : i + height, j : j + width] for i in range(2) for j in range(2)
  ]
  inside = jnp.stack(window)
  return inside.any(0) & ~inside.all(0)


def paste_classes(
  pasted: jax.Array, source: weak_strong.Views, target: weak_strong.Views
) -> PastedViews:
  """Pastes the source's WEAK pixels into both views of the target.

  Args:
    pasted: [B, h, w] bool.
    source: views of the source with its labels.
    target: views of the target with its pseudo-labels.

  Returns:
    `PastedViews`; ignored pixels are pasted as ignored.
  """
  return PastedViews(
    classmix.mix(pasted, source.weak, target.strong),
    classmix.mix(pasted, source.weak, target.weak),
    classmix.mix(pasted, source.label, target.label),
    pasted,
  )
