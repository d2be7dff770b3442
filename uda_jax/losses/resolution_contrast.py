"""CLUDA's contrast of fused features at one and at two resolutions.

Every pixel of a batch's grid is an anchor, every other one a positive (same
class) or a negative. The N x N maps of pairs, N some thousands, are never kept:
rows are computed block by block, again in the backward pass. The paper (arXiv
2208.14227) is followed as its released code has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.ops import vectors

ORDERS = ('aligned', 'released')


class Pixels(NamedTuple):
  """The N pixels of a batch's grid; unused entries are None.

  Attributes:
    feature: [N, D] float unit vectors.
    label: [N] int.
    index: [N] int32, the pixel's number.
    counts: [N] bool, False where the pixel takes no part at all.
    thing: [N] bool; pairs of a thing and a non-thing are no positives.
    confidence: [N] float in [0, 1].
    detail_feature: [N, D] float unit vectors of the detail crop, zeros outside.
    detail_label: [N] int.
    inside: [N] bool, in the detail crop.
    weight: [N] float in (0, 1).
  """

  feature: jax.Array
  label: jax.Array
  index: jax.Array
  counts: jax.Array
  thing: jax.Array
  confidence: jax.Array
  detail_feature: jax.Array | None = None
  detail_label: jax.Array | None = None
  inside: jax.Array | None = None
  weight: jax.Array | None = None


def log_probability(
  anchor: jax.Array, column: jax.Array, negative: jax.Array
) -> jax.Array:
  """Computes how likely each column is, beside the anchor's negatives alone.

  lp[i, j] = s[i, j] - log(exp s[i, j] + sum over negatives k of exp s[i, k])
  with s = anchor . column, temperature 1 (released code, `contrast`).

  Args:
    anchor: [R, D] float unit vectors (or zeros).
    column: [N, D] float unit vectors (or zeros).
    negative: [R, N] bool. An anchor without negatives has lp = 0.

  Returns:
    [R, N] float.
  """
  # In full precision: accelerators would multiply in bfloat16 or TF32.
  similarity = jnp.matmul(anchor, column.T, precision=jax.lax.Precision.HIGHEST)
  others = jnp.where(negative, jnp.exp(similarity), 0).sum(-1, keepdims=True)
  return -jnp.log1p(others * jnp.exp(-similarity))


def positives(
  row: Pixels, column: Pixels, row_label: jax.Array, column_label: jax.Array
) -> jax.Array:
  """Returns [R, N] bool: pairs of two pixels of one class."""
  return (
    (row_label[:, None] == column_label)
    & (row.index[:, None] != column.index)
    & (row.thing[:, None] == column.thing)
    & row.counts[:, None]
    & column.counts
  )


def negatives(
  column: Pixels, row_label: jax.Array, column_label: jax.Array
) -> jax.Array:
  """Returns [R, N] bool: pairs of two classes."""
  return (row_label[:, None] != column_label) & column.counts


def multi_resolution_contrast(
  feature: jax.Array,
  detail_feature: jax.Array,
  label: jax.Array,
  inside: jax.Array,
  weight: jax.Array,
  *,
  detail_label: jax.Array | None = None,
  confidence: jax.Array | None = None,
  things: Sequence[int] = (),
  ignore_label: int | None = None,
  order: str = 'aligned',
  block_size: int = 512,
) -> jax.Array:
  """Computes CLUDA's contrast of coarse with coarse and detail features.

  0.5 * mean over anchors i of
    -sum_j (w_ij a_ij + (1 - w_ij) x_ij) p_i p_j / max(1, number of positives)
  where a and x are `log_probability` of the positives among coarse pixels and
  among detail pixels, p the confidence, and w_ij = weight_i weight_j, 0 for
  anchors outside the crop (released code, `multi_resolution_cl`). An anchor
  without positives adds 0, so does one that is ignored.

  Args:
    feature: [B, h, w, D] float, fused features of the whole images, any length.
    detail_feature: [B, h, w, D] float, those of the crops, zeros elsewhere.
    label: [B, h, w] int, any values.
    inside: [B, h, w] bool, in the crop.
    weight: [B, h, w] float in (0, 1); it is trained by this loss alone.
    detail_label: [B, h, w] int, of the detail features; `label` if not given.
    confidence: [B, h, w] float in [0, 1]; 1 if not given.
    things: classes of things, see `Pixels`. No effect unless `detail_label`
      differs from `label`.
    ignore_label: pixels of this label take no part; None, as released: they
      are a class like any other.
    order: 'aligned', or 'released': features of several images are flattened
      pixel by pixel, everything else image by image, so that features meet the
      labels of other pixels.
    block_size: rows that are computed at once.

  Returns:
    [] float.
  """
  pixels = _pixels(feature, label, confidence, things, ignore_label, order)
  detail_label = label if detail_label is None else detail_label
  pixels = pixels._replace(
    detail_feature=_flatten(_unit(detail_feature), order),
    detail_label=detail_label.ravel(),
    inside=inside.ravel(),
    weight=weight.ravel().astype(pixels.confidence.dtype),
  )
  return 0.5 * _mean_over_rows(_two_resolutions, pixels, block_size)


def single_resolution_contrast(
  feature: jax.Array,
  label: jax.Array,
  *,
  confidence: jax.Array | None = None,
  things: Sequence[int] = (),
  ignore_label: int | None = None,
  order: str = 'aligned',
  block_size: int = 512,
) -> jax.Array:
  """Computes the contrast of features of one resolution.

  Mean over anchors i of -sum_j lp_ij p_i p_j / max(1, number of positives),
  over positives j (released code, `contrastive_loss`, which no released run
  calls). An anchor without positives adds 0.

  Args:
    feature: [B, h, w, D] float, any length.
    label: [B, h, w] int, any values.
    confidence: see `multi_resolution_contrast`, as all further arguments.
    things: no effect; see there.
    ignore_label: see there.
    order: see there.
    block_size: see there.

  Returns:
    [] float.
  """
  pixels = _pixels(feature, label, confidence, things, ignore_label, order)
  return _mean_over_rows(_one_resolution, pixels, block_size)


def _pixels(feature, label, confidence, things, ignore_label, order) -> Pixels:
  """Flattens what both losses take."""
  if order not in ORDERS:
    raise ValueError(f'order: expected one of {ORDERS}, got {order!r}')
  flat = label.ravel()
  feature = _flatten(_unit(feature), order)
  confidence = (
    jnp.ones(flat.shape) if confidence is None else confidence.ravel()
  )
  thing = (flat[:, None] == jnp.asarray(things, flat.dtype)).any(-1)
  counts = (
    jnp.ones(flat.shape, bool) if ignore_label is None else flat != ignore_label
  )
  return Pixels(
    feature,
    flat,
    jnp.arange(flat.size, dtype=jnp.int32),
    counts,
    thing,
    confidence.astype(feature.dtype),
  )


def _unit(feature: jax.Array) -> jax.Array:
  """Returns unit vectors, in float32 at least."""
  dtype = jnp.promote_types(feature.dtype, jnp.float32)
  return vectors.unit_vectors(feature.astype(dtype))


def _flatten(feature: jax.Array, order: str) -> jax.Array:
  """Returns [N, D]; 'released' runs over images first, then over pixels."""
  if order == 'released':
    feature = jnp.moveaxis(feature, 0, 2)
  return feature.reshape(-1, feature.shape[-1])


def _two_resolutions(row: Pixels, column: Pixels) -> jax.Array:
  """Returns the loss [R] of a block of anchors, not halved."""
  coarse = positives(row, column, row.label, column.label)
  coarse_lp = log_probability(
    row.feature, column.feature, negatives(column, row.label, column.label)
  )
  detail = positives(row, column, row.detail_label, column.detail_label)
  detail_lp = log_probability(
    row.feature,
    column.detail_feature,
    negatives(column, row.detail_label, column.detail_label),
  )
  weight = jnp.where(row.inside, row.weight, 0)[:, None] * column.weight
  pair = jnp.where(coarse, weight * coarse_lp, 0) + jnp.where(
    detail, (1 - weight) * detail_lp, 0
  )
  return _row_loss(pair, coarse, row, column)


def _one_resolution(row: Pixels, column: Pixels) -> jax.Array:
  """Returns the loss [R] of a block of anchors."""
  positive = positives(row, column, row.label, column.label)
  lp = log_probability(
    row.feature, column.feature, negatives(column, row.label, column.label)
  )
  return _row_loss(jnp.where(positive, lp, 0), positive, row, column)


def _row_loss(pair, positive, row: Pixels, column: Pixels) -> jax.Array:
  total = (pair * column.confidence).sum(-1) * row.confidence
  return -total / jnp.maximum(positive.sum(-1), 1)


def _mean_over_rows(
  loss: Callable[[Pixels, Pixels], jax.Array], pixels: Pixels, block_size: int
) -> jax.Array:
  """Returns the mean of `loss(rows, all pixels)` over blocks of rows."""
  count = pixels.label.size
  blocks = -(-count // block_size)
  rows = -(-count // blocks)
  # Rows that fill the last block have confidence 0, so add nothing.
  padded = jax.tree.map(
    lambda x: jnp.pad(
      x, [(0, blocks * rows - count)] + [(0, 0)] * (x.ndim - 1)
    ).reshape(blocks, rows, *x.shape[1:]),
    pixels,
  )

  @jax.checkpoint
  def add(total, block):
    return total + loss(block, pixels).sum(), None

  total, _ = jax.lax.scan(add, jnp.zeros((), pixels.feature.dtype), padded)
  return total / count
