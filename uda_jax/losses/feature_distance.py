"""Distance to the features of a frozen network (DAFormer)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from uda_jax import labels


def dominant_label(
  label: jax.Array, *, cell: int, num_classes: int, min_fraction: float
) -> jax.Array:
  """Downsamples a label map to the most frequent class of each cell.

  DAFormer (arXiv 2111.14887, section 3.3; released code). Rows and columns at
  the bottom and right that do not fill a cell are dropped.

  Args:
    label: [B, H, W] int, in [0, num_classes) or `IGNORE_LABEL`.
    cell: side of the square cells, in pixels.
    num_classes: C.
    min_fraction: cells of which the class fills less are ignored; so are
      cells that are mostly ignored.

  Returns:
    [B, H // cell, W // cell] int32: the class (the lower one of a tie) or
    `IGNORE_LABEL`.

  Example:
    >>> label = jnp.array([[[0, 0, 1, 2], [0, 1, 255, 255]]])
    >>> print(dominant_label(label, cell=2, num_classes=3, min_fraction=0.75))
    [[[  0 255]]]
  """
  batch, height, width = label.shape
  rows, columns = height // cell, width // cell
  cells = label[:, : rows * cell, : columns * cell].reshape(
    batch, rows, cell, columns, cell
  )
  ids = jnp.append(jnp.arange(num_classes), labels.IGNORE_LABEL)
  count = (cells[..., None] == ids).sum((2, 4))
  winner = jnp.argmax(count, -1)
  sure = (count.max(-1) >= min_fraction * cell**2) & (winner < num_classes)
  return jnp.where(sure, winner, labels.IGNORE_LABEL).astype(jnp.int32)


def class_feature_distance(
  feature: jax.Array,
  reference: jax.Array,
  label: jax.Array,
  *,
  num_classes: int,
  classes: Sequence[int],
  min_fraction: float,
) -> jax.Array:
  """Mean L2 distance to reference features over cells of the given classes.

  DAFormer's thing-class ImageNet feature distance (arXiv 2111.14887, eq. 6;
  released code): mean over the cells of ||feature - reference||_2, computed in
  float32 or wider. Where the distance is 0, the gradient is 0.

  Args:
    feature: [B, h, w, D] float, any values.
    reference: [B, h, w, D] float, features of the frozen network.
    label: [B, H, W] int, in [0, num_classes) or `IGNORE_LABEL`; a cell is
      W // w pixels wide and high.
    num_classes: C.
    classes: classes whose cells count, such as Cityscapes' things; empty:
      every cell counts, including ignored ones.
    min_fraction: see `dominant_label`.

  Returns:
    [] float; 0, with gradient 0, if no cell counts (the released code gives
    NaN).

  Raises:
    ValueError: `label` does not divide into the cells of `feature`.

  Example:
    >>> reference = jnp.zeros((1, 1, 2, 2))
    >>> feature = jnp.array([[[[3.0, 4.0], [1.0, 0.0]]]])
    >>> label = jnp.array([[[7, 7, 1, 1], [7, 7, 1, 1]]])
    >>> options = dict(num_classes=19, min_fraction=0.75)
    >>> print(class_feature_distance(
    ...     feature, reference, label, classes=(7,), **options))
    5.0
    >>> print(class_feature_distance(
    ...     feature, reference, label, classes=(), **options))
    3.0
  """
  dtype = jnp.promote_types(feature.dtype, jnp.float32)
  difference = feature.astype(dtype) - reference.astype(dtype)
  size = difference.shape[:-1]
  mask = jnp.ones(size, bool)
  if len(classes):
    small = dominant_label(
      label,
      # A label smaller than the features has no cells: its size is refused.
      cell=max(label.shape[2] // feature.shape[2], 1),
      num_classes=num_classes,
      min_fraction=min_fraction,
    )
    if small.shape != size:
      raise ValueError(
        f'label: {label.shape} in cells of '
        f'{label.shape[2] // feature.shape[2]} pixels gives {small.shape}; '
        f'expected the size of the features, {size}'
      )
    mask = (small[..., None] == jnp.asarray(classes)).any(-1)
  # Before the root: an infinite feature has a NaN gradient, also times 0.
  square = jnp.square(jnp.where(mask[..., None], difference, 0)).sum(-1)
  apart = square > 0
  distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1)), 0)
  return distance.sum() / jnp.maximum(mask.sum(), 1)


def smooth_cosine_distance(
  feature: jax.Array, reference: jax.Array, *, smooth_weight: float = 0.1
) -> jax.Array:
  """Smooth L1 and cosine distance to reference features (VFM-UDA++).

  Mean over positions of w * mean over channels of smooth_l1(f - g) + (1 - w) *
  (1 - cos(f, g)) (released code), in float32 or wider.

  Args:
    feature: [B, h, w, D] float, any values.
    reference: [B, h, w, D] float.
    smooth_weight: w, in [0, 1].

  Returns:
    [] float >= 0; 0 if there are no positions.

  Example:
    >>> feature = jnp.array([[[[2.0, 0.0]]]])
    >>> reference = jnp.array([[[[0.0, 2.0]]]])
    >>> print(f'{smooth_cosine_distance(feature, reference):.4f}')
    1.0500
  """
  dtype = jnp.promote_types(feature.dtype, jnp.float32)
  f, g = feature.astype(dtype), reference.astype(dtype)
  difference = jnp.abs(f - g)
  smooth = jnp.where(difference < 1, 0.5 * difference**2, difference - 0.5)
  # PyTorch's guard of `cosine_similarity`, on each of the two norms.
  norm = lambda x: jnp.sqrt(jnp.maximum((x * x).sum(-1), 1e-16))
  cosine = (f * g).sum(-1) / (norm(f) * norm(g))
  mean = lambda x: x.sum() / max(x.size, 1)
  return smooth_weight * mean(smooth) + (1 - smooth_weight) * mean(1 - cosine)
