"""Class pasting of EHTDI: half of a pool of source classes onto the target.

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
  """Views of the target with pasted source classes.

  Attributes:
    strong: [B, h, w, 3] pixels of the strong view.
    weak: [B, h, w, 3] pixels of the weak view.
    label: [B, h, w] int32, source labels in pasted pixels, pseudo-labels
      elsewhere.
    pasted: [B, h, w] bool, True for pixels of the source.
  """

  strong: jax.Array
  weak: jax.Array
  label: jax.Array
  pasted: jax.Array


def _order(num_classes: int, pool: Sequence[int]) -> np.ndarray:
  """Labels in the order of the draw: ignored, other classes, pool."""
  others = [c for c in range(num_classes) if c not in pool]
  return np.array([labels.IGNORE_LABEL, *others, *sorted(pool)])


def classes_present(
  label: jax.Array, *, num_classes: int, pool: Sequence[int]
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Finds the labels that occur in each image.

  Args:
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    num_classes: C.
    pool: classes that may be pasted.

  Returns:
    Mask of the labels that occur ([B, C + 1] bool, in the order ignored,
    classes outside the pool, classes of the pool), number of labels that occur
    and number of pool classes that occur, both [B] int32.

  Example:
    >>> label = jnp.array([[[0, 2, 2, 255]]])
    >>> occurs, total, count = classes_present(
    ...     label, num_classes=3, pool=(1, 2))
    >>> print(occurs.astype(int), total, count)
    [[1 1 0 1]] [3] [1]
  """
  ids = _order(num_classes, pool)
  occurs = (label[..., None] == ids).any((1, 2))
  in_pool = np.isin(ids, pool)
  return occurs, occurs.sum(-1), (occurs & in_pool).sum(-1)


def draw_paste_positions(
  key: jax.Array, label: jax.Array, *, num_classes: int, pool: Sequence[int]
) -> jax.Array:
  """Draws half of the pool classes that occur in each image.

  Of n classes n // 2 are drawn without replacement, or the only one if n = 1.

  Args:
    key: a JAX key.
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    num_classes: C.
    pool: classes that may be pasted.

  Returns:
    [B, C + 1] bool, True at the positions drawn, which count from 0 to n - 1
    among the pool classes that occur; all False if n = 0.

  Example:
    >>> label = jnp.array([[[0, 1, 2, 3]]])
    >>> drawn = draw_paste_positions(
    ...     jax.random.key(0), label, num_classes=4, pool=(1, 2, 3))
    >>> print(drawn.sum(), drawn[0, 3:])
    1 [False False]
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
  """Mask of the pixels of the classes drawn.

  Args:
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    drawn: [B, C + 1] bool, see `draw_paste_positions`.
    pool: classes that may be pasted.
    offset: added to the positions among all labels that occur (ignored, other
      classes, pool; modulo their number). 0 pastes the classes drawn. The
      released code has -1: it pastes the label before the one drawn, which may
      be outside the pool or the ignored label.

  Returns:
    [B, H, W] bool.

  Example:
    >>> label = jnp.array([[[0, 1, 2, 3]]])
    >>> drawn = jnp.array([[False, True, False, False, False]])
    >>> print(paste_mask(label, drawn, pool=(1, 2, 3)))
    [[[False False  True False]]]
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
  """Border of a mask: dilation minus erosion with OpenCV's 2 x 2 box.

  The window of a pixel is the pixel and its neighbors above, to the left and
  above left, as far as they exist.

  Args:
    mask: [B, H, W] bool.

  Returns:
    [B, H, W] bool, True where the window holds both values; all False for an
    empty or full mask.

  Example:
    >>> mask = jnp.array([[[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]) > 0
    >>> print(mask_border(mask)[0].astype(int))
    [[0 0 1 0]
     [1 1 1 0]
     [0 0 0 0]]
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
  """Pastes pixels of the source's weak view into both views of the target.

  Args:
    pasted: [B, h, w] bool, True for pixels of the source.
    source: views of the source with its labels.
    target: views of the target with its pseudo-labels.

  Returns:
    Both views; ignored pixels are pasted as ignored.

  Example:
    >>> view = lambda value: jnp.full((1, 1, 2, 3), value)
    >>> source = weak_strong.Views(view(1), view(2), jnp.array([[[5, 255]]]))
    >>> target = weak_strong.Views(view(3), view(4), jnp.array([[[8, 9]]]))
    >>> mixed = paste_classes(jnp.array([[[False, True]]]), source, target)
    >>> print(mixed.strong[..., 0], mixed.weak[..., 0], mixed.label)
    [[[3 2]]] [[[4 2]]] [[[  8 255]]]
  """
  return PastedViews(
    classmix.mix(pasted, source.weak, target.strong),
    classmix.mix(pasted, source.weak, target.weak),
    classmix.mix(pasted, source.label, target.label),
    pasted,
  )
