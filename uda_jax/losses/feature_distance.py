"""Distance to the features of a frozen network, on cells of some classes."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from uda_jax import labels


def dominant_label(
  label: jax.Array, *, cell: int, num_classes: int, min_fraction: float
) -> jax.Array:
  """Shrinks a label map to the class that fills most of each cell.

  DAFormer (arXiv 2111.14887, section 3.3; released code). Rows and columns
  that do not fill a cell are dropped.

  Args:
    label: [B, H, W] int, in [0, num_classes) or `IGNORE_LABEL`.
    cell: side of the square cells, in pixels.
    num_classes: C.
    min_fraction: a class that fills less of its cell does not count; nor do
      cells that are mostly ignored.

  Returns:
    [B, H // cell, W // cell] int32: the class (the lowest of equals) or
    `IGNORE_LABEL`.
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
  """Computes the mean distance of features where things are.

  mean over cells of ||feature - reference||_2, DAFormer's thing-class ImageNet
  feature distance (arXiv 2111.14887, eq. 6; released code), in float32 at
  least. Without such a cell it is 0 (the released code logs NaN); at distance
  0 the gradient is 0.

  Args:
    feature: [B, h, w, D] float, any values.
    reference: [B, h, w, D] float, of the frozen network.
    label: [B, H, W] int, in [0, num_classes) or `IGNORE_LABEL`; W // w is the
      side of a cell.
    num_classes: C.
    classes: those that count, such as Cityscapes' things; none: all cells,
      whatever their label.
    min_fraction: see `dominant_label`.

  Returns:
    [] float.
  """
  dtype = jnp.promote_types(feature.dtype, jnp.float32)
  square = jnp.square(feature.astype(dtype) - reference.astype(dtype)).sum(-1)
  mask = jnp.ones(square.shape, bool)
  if classes:
    small = dominant_label(
      label,
      cell=label.shape[2] // feature.shape[2],
      num_classes=num_classes,
      min_fraction=min_fraction,
    )
    if small.shape != square.shape:
      raise ValueError(
        f'feature_distance: label {label.shape} in cells of '
        f'{label.shape[2] // feature.shape[2]} gives {small.shape}, features '
        f'have {square.shape}'
      )
    mask = (small[..., None] == jnp.asarray(classes)).any(-1)
  apart = square > 0
  distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1)), 0)
  return jnp.where(mask, distance, 0).sum() / jnp.maximum(mask.sum(), 1)
