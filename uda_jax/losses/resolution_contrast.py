"""Pixel contrast of fused features at one or two resolutions (CLUDA).

arXiv 2208.14227, as its released code computes it. Every pixel of a batch is an
anchor; all other pixels are positives (same class) or negatives. With N pixels,
the N x N matrices of pairs are computed in blocks of rows and recomputed for
the gradient, never stored as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from uda_jax.ops import vectors

Tree = TypeVar('Tree')

ORDERS = ('aligned', 'released')


class Pixels(NamedTuple):
  """The N pixels of a batch.

  Attributes:
    feature: [N, D] float, unit vectors.
    label: [N] int.
    number: [N] int32, number of the pixel.
    counts: [N] bool, False for pixels that are left out.
    confidence: [N] float in [0, 1].
  """

  feature: jax.Array
  label: jax.Array
  number: jax.Array
  counts: jax.Array
  confidence: jax.Array


class Detail(NamedTuple):
  """The second resolution of the N pixels of a batch.

  Attributes:
    feature: [N, D] float, unit vectors of the detail crop, zeros outside of it.
    inside: [N] bool, True in the detail crop.
    weight: [N] float in (0, 1).
  """

  feature: jax.Array
  inside: jax.Array
  weight: jax.Array


def log_probability(
  anchor: jax.Array, column: jax.Array, negative: jax.Array
) -> jax.Array:
  """Log-probability of each column against the negatives of its anchor.

  s[i, j] - log(exp s[i, j] + sum over negatives k of exp s[i, k]) with s =
  anchor . column, temperature 1 (CLUDA, released code, `contrast`).

  Args:
    anchor: [R, D] float, unit vectors or zeros.
    column: [N, D] float, unit vectors or zeros.
    negative: [R, N] bool, True for negatives of the anchor.

  Returns:
    [R, N] float <= 0; 0 for anchors without negatives.

  Example:
    >>> anchor = jnp.array([[1.0, 0.0]])
    >>> column = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    >>> negative = jnp.array([[False, True]])
    >>> print(log_probability(anchor, column, negative))
    [[-0.3133 -0.6931]]
  """
  # Full precision: accelerators multiply in bfloat16 or TF32 otherwise.
  similarity = jnp.matmul(anchor, column.T, precision=jax.lax.Precision.HIGHEST)
  others = jnp.where(negative, jnp.exp(similarity), 0).sum(-1, keepdims=True)
  return -jnp.log1p(others * jnp.exp(-similarity))


def positives(row: Pixels, column: Pixels) -> jax.Array:
  """Pairs of two different pixels of one class, [R, N] bool."""
  return (
    (row.label[:, None] == column.label)
    & (row.number[:, None] != column.number)
    & row.counts[:, None]
    & column.counts
  )


def negatives(row: Pixels, column: Pixels) -> jax.Array:
  """Pairs of pixels of different classes, [R, N] bool."""
  return (row.label[:, None] != column.label) & column.counts


def multi_resolution_contrast(
  feature: jax.Array,
  detail_feature: jax.Array,
  label: jax.Array,
  inside: jax.Array,
  weight: jax.Array,
  *,
  confidence: jax.Array | None = None,
  ignore_label: int | None = None,
  order: str = 'aligned',
  block_size: int = 512,
) -> jax.Array:
  """Contrast of coarse features with coarse and with detail features (CLUDA).

  0.5 * mean over anchors i of
    -sum over positives j of (w_ij a_ij + (1 - w_ij) x_ij) p_i p_j
    / max(1, number of positives)
  with the `log_probability` a of coarse and x of detail features, confidence p
  and w_ij = weight_i weight_j, 0 for anchors outside the crop (arXiv
  2208.14227; released code, `multi_resolution_cl`).

  Args:
    feature: [B, h, w, D] float, fused features of whole images; normalized
      here.
    detail_feature: [B, h, w, D] float, fused features of the detail crops,
      zeros outside of them; normalized here.
    label: [B, h, w] int, any values.
    inside: [B, h, w] bool, True in the detail crop.
    weight: [B, h, w] float in (0, 1), of a head that only this loss trains.
    confidence: [B, h, w] float in [0, 1], weight of each pixel; None: 1. It
      multiplies the terms of positive pairs alone (released code): a pixel of
      confidence 0 is still a negative of other classes, and still counts in
      the number of positives; only ignored pixels are neither.
    ignore_label: label of pixels that are left out; None: every label is a
      class (released code).
    order: 'aligned'; or 'released': features are flattened with the images of
      a batch innermost, labels with the images outermost, so that with several
      images features meet labels of other pixels.
    block_size: rows computed at once; affects neither value nor gradient.

  Returns:
    [] float. Anchors without positives add 0, and so do ignored anchors, of
    any features; without pixels it is 0. It is NaN if a feature of a
    pixel that counts is infinite or NaN (released code), of any confidence.

  Raises:
    ValueError: `order` is neither.

  Example:
    >>> feature = jnp.array([[[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]])
    >>> label = jnp.array([[[0, 0, 1]]])
    >>> inside = jnp.ones(label.shape, bool)
    >>> loss = multi_resolution_contrast(
    ...     feature, feature, label, inside, jnp.full(label.shape, 0.5))
    >>> print(f'{loss:.4f}')
    0.1044
  """
  pixels = _pixels(feature, label, confidence, ignore_label, order)
  detail = Detail(
    _unit_rows(detail_feature, pixels.counts, order),
    inside.ravel(),
    weight.ravel().astype(pixels.confidence.dtype),
  )
  return 0.5 * _mean_over_rows(_two_resolutions, (pixels, detail), block_size)


def single_resolution_contrast(
  feature: jax.Array,
  label: jax.Array,
  *,
  confidence: jax.Array | None = None,
  ignore_label: int | None = None,
  order: str = 'aligned',
  block_size: int = 512,
) -> jax.Array:
  """Contrast of features at one resolution (CLUDA).

  Mean over anchors i of -sum over positives j of lp_ij p_i p_j / max(1, number
  of positives), with the `log_probability` lp and the confidence p (released
  code, `contrastive_loss`, which no released run calls).

  Args:
    feature: [B, h, w, D] float, any values; normalized here.
    label: [B, h, w] int, any values.
    confidence: see `multi_resolution_contrast`.
    ignore_label: see `multi_resolution_contrast`.
    order: see `multi_resolution_contrast`.
    block_size: see `multi_resolution_contrast`.

  Returns:
    [] float, 0 or NaN as `multi_resolution_contrast` is.

  Raises:
    ValueError: `order` is neither 'aligned' nor 'released'.

  Example:
    >>> feature = jnp.array([[[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]])
    >>> loss = single_resolution_contrast(feature, jnp.array([[[0, 0, 1]]]))
    >>> print(f'{loss:.4f}')
    0.2088
  """
  pixels = _pixels(feature, label, confidence, ignore_label, order)
  return _mean_over_rows(_one_resolution, pixels, block_size)


def _pixels(
  feature: jax.Array,
  label: jax.Array,
  confidence: jax.Array | None,
  ignore_label: int | None,
  order: str,
) -> Pixels:
  """Flattens the arguments that both losses have."""
  if order not in ORDERS:
    raise ValueError(f'order: expected one of {ORDERS}, got {order!r}')
  flat = label.ravel()
  confidence = (
    jnp.ones(flat.shape) if confidence is None else confidence.ravel()
  )
  counts = (
    jnp.ones(flat.shape, bool) if ignore_label is None else flat != ignore_label
  )
  feature = _unit_rows(feature, counts, order)
  return Pixels(
    feature,
    flat,
    jnp.arange(flat.size, dtype=jnp.int32),
    counts,
    confidence.astype(feature.dtype),
  )


def _unit_rows(feature: jax.Array, counts: jax.Array, order: str) -> jax.Array:
  """Unit vectors [N, D] in float32 or wider, zeros of pixels left out."""
  dtype = jnp.promote_types(feature.dtype, jnp.float32)
  rows = _flatten(feature, order).astype(dtype)
  # Before the products: an infinite feature has a NaN gradient, also times 0.
  return vectors.unit_vectors(jnp.where(counts[:, None], rows, 0))


def _flatten(feature: jax.Array, order: str) -> jax.Array:
  """Flattens to [N, D]; in order 'released' the images vary fastest."""
  if order == 'released':
    feature = jnp.moveaxis(feature, 0, 2)
  return feature.reshape(-1, feature.shape[-1])


def _two_resolutions(
  row_pixels: tuple[Pixels, Detail], column_pixels: tuple[Pixels, Detail]
) -> jax.Array:
  """Loss [R] of a block of anchors, not halved."""
  (row, row_detail), (column, column_detail) = row_pixels, column_pixels
  positive, negative = positives(row, column), negatives(row, column)
  coarse_lp = log_probability(row.feature, column.feature, negative)
  detail_lp = log_probability(row.feature, column_detail.feature, negative)
  weight = jnp.where(row_detail.inside, row_detail.weight, 0)
  weight = weight[:, None] * column_detail.weight
  pair = jnp.where(positive, weight * coarse_lp, 0) + jnp.where(
    positive, (1 - weight) * detail_lp, 0
  )
  return _row_loss(pair, positive, row, column)


def _one_resolution(row: Pixels, column: Pixels) -> jax.Array:
  """Loss [R] of a block of anchors."""
  positive = positives(row, column)
  lp = log_probability(row.feature, column.feature, negatives(row, column))
  return _row_loss(jnp.where(positive, lp, 0), positive, row, column)


def _row_loss(
  pair: jax.Array, positive: jax.Array, row: Pixels, column: Pixels
) -> jax.Array:
  """Loss [R] from the terms [R, N] of the pairs."""
  total = (pair * column.confidence).sum(-1) * row.confidence
  return -total / jnp.maximum(positive.sum(-1), 1)


def _mean_over_rows(
  loss: Callable[[Tree, Tree], jax.Array], pixels: Tree, block_size: int
) -> jax.Array:
  """Mean of `loss(rows, all pixels)` over all rows, block by block."""
  feature = jax.tree.leaves(pixels)[0]
  count = len(feature)
  blocks = max(-(-count // block_size), 1)
  rows = -(-count // blocks)
  # The rows that pad the last block have confidence 0 and add nothing.
  padded = jax.tree.map(
    lambda x: jnp.pad(
      x, [(0, blocks * rows - count)] + [(0, 0)] * (x.ndim - 1)
    ).reshape(blocks, rows, *x.shape[1:]),
    pixels,
  )

  @jax.checkpoint
  def add(total: jax.Array, block: Tree) -> tuple[jax.Array, None]:
    return total + loss(block, pixels).sum(), None

  total, _ = jax.lax.scan(add, jnp.zeros((), feature.dtype), padded)
  return total / max(count, 1)
