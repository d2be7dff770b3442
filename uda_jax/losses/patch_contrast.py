"""Contrast between two overlapping crops of the target (PiPa, section 3.3).

Embeddings of corresponding positions in two crops are pulled together and
pushed away from embeddings of other classes in a memory bank of the last steps
(arXiv 2211.07609). Only the less confident position of a pair gets a gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.losses import patch_bank
from uda_jax.ops import boxes as boxes_lib

EPS = 1e-8
# Anchors that are compared with the bank at once.
CHUNK = 1024


class PatchContrast(NamedTuple):
  """Losses with the first and with the second crop as anchors.

  Attributes:
    loss: [2] float.
    active: [2] int32, number of anchors.
    overlap: [] int32, number of cells in the overlap.
  """

  loss: jax.Array
  active: jax.Array
  overlap: jax.Array


def mirror_back(
  cells: patch_bank.PatchCells, flipped: jax.Array
) -> patch_bank.PatchCells:
  """Flips mirrored crops back.

  Args:
    cells: cells as the network saw them, [B, h, w, ...].
    flipped: [B] bool, True for crops that were mirrored left to right.

  Returns:
    Cells [B, h, w, ...] in the orientation of the image.

  Example:
    >>> label = jnp.array([[[1, 2, 3]]])
    >>> cells = patch_bank.PatchCells(label[..., None], label, label)
    >>> print(mirror_back(cells, jnp.array([True])).label)
    [[[3 2 1]]]
  """

  def one(x: jax.Array) -> jax.Array:
    chosen = flipped.reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.where(chosen, jnp.flip(x, 2), x)

  return patch_bank.PatchCells(*map(one, cells))


def _anchor_losses(
  vector: jax.Array,
  partner: jax.Array,
  label: jax.Array,
  bank: patch_bank.PatchBank,
  temperature: float,
) -> jax.Array:
  """Losses [n] of anchors [n, D] with positives [n, D] and classes [n]."""
  exists = jnp.repeat(bank.filled, bank.label.shape[1])
  bank_vector = bank.vector.reshape(-1, bank.vector.shape[-1])
  bank_label = bank.label.reshape(-1)

  @jax.checkpoint  # stored similarities of all anchors would take gigabytes
  def one(anchor: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    vector, partner, label = anchor
    positive = (vector * partner).sum() / temperature
    similarity = (
      jnp.matmul(bank_vector, vector, precision=jax.lax.Precision.HIGHEST)
      / temperature
    )
    # The released code takes the maximum over the bank's first 8000 entries;
    # the difference is of the order of EPS.
    largest = jax.lax.stop_gradient(
      jnp.maximum(positive, jnp.max(similarity, where=exists, initial=-jnp.inf))
    )
    other = exists & (bank_label != label)
    negative = jnp.where(
      other, jnp.exp(jnp.where(other, similarity - largest, 0)), 0
    ).sum()
    positive = jnp.exp(positive - largest)
    return -jnp.log(positive / (positive + negative + EPS) + EPS)

  return jax.lax.map(one, (vector, partner, label), batch_size=CHUNK)


def _one_side(
  own: patch_bank.PatchCells,
  other: patch_bank.PatchCells,
  own_box: jax.Array,
  other_box: jax.Array,
  bank: patch_bank.PatchBank,
  threshold: float,
  temperature: float,
) -> PatchContrast:
  """Contrast with the cells of one crop as anchors."""
  other = jax.lax.stop_gradient(other)

  def move(x: jax.Array, own_box: jax.Array, other_box: jax.Array) -> jax.Array:
    """Shifts the other crop's cells to their positions in this crop."""
    return jnp.roll(x, (own_box - other_box)[::2], (0, 1))

  partner = patch_bank.PatchCells(
    *(jax.vmap(move)(x, own_box, other_box) for x in other)
  )
  overlap = boxes_lib.inside(own_box, own.label.shape[1:3])[..., 0]
  active = (
    overlap
    & (partner.confidence > threshold)
    & (own.confidence < partner.confidence)
  )
  channels = own.vector.shape[-1]
  loss = _anchor_losses(
    own.vector.reshape(-1, channels),
    partner.vector.reshape(-1, channels),
    own.label.reshape(-1),
    bank,
    temperature,
  )
  count = active.sum()
  # Inactive anchors give no NaN: all vectors have length 0 or 1.
  mean = jnp.where(active.reshape(-1), loss, 0).sum() / jnp.maximum(count, 1)
  return PatchContrast(mean, count, overlap.sum())


def paired_patch_contrast(
  first: patch_bank.PatchCells,
  second: patch_bank.PatchCells,
  boxes: jax.Array,
  bank: patch_bank.PatchBank,
  *,
  threshold: float = 0.9,
  temperature: float = 0.1,
) -> PatchContrast:
  """Contrast of corresponding cells of two crops (PiPa, equation 4).

  For an anchor z, the other crop's z' at the same position and the vectors b of
  other classes in the bank, -log(exp(z z' / T) / (exp(z z' / T) + sum over b of
  exp(z b / T))), averaged over the anchors of a crop. A cell of the overlap is
  an anchor if the other crop is more confident there and its confidence exceeds
  the threshold (released code). Only anchors get a gradient.

  Args:
    first: cells of the first crop, flipped back (`mirror_back`).
    second: cells of the second crop, flipped back.
    boxes: [B, 2, 4] int32 (top, bottom, left, right), the overlap in the first
      and in the second crop, of equal sizes, in cells.
    bank: holds this step's vectors already, see `patch_bank.push_bank`.
    threshold: confidence in [0, 1] that the positive must exceed.
    temperature: T > 0.

  Returns:
    Losses and counts of both directions; a crop without anchors gives 0.

  Example:
    >>> z = jnp.array([[[[1.0, 0.0], [0.0, 1.0]]]])
    >>> label = jnp.array([[[0, 1]]])
    >>> first, second = (
    ...   patch_bank.PatchCells(z, label, jnp.full((1, 1, 2), confidence))
    ...   for confidence in (0.5, 0.95)
    ... )
    >>> bank = patch_bank.empty_bank(steps=1, size=2, channels=2)
    >>> bank = patch_bank.push_bank(
    ...   bank, first, second, jnp.array([[0], [1]])
    ... )
    >>> box = jnp.array([[[0, 1, 0, 2], [0, 1, 0, 2]]])
    >>> sides = paired_patch_contrast(first, second, box, bank, temperature=1)
    >>> print(sides.loss, sides.active, sides.overlap)
    [0.3133 0. ] [2 0] 2
  """
  options = (bank, threshold, temperature)
  sides = (
    _one_side(first, second, boxes[:, 0], boxes[:, 1], *options),
    _one_side(second, first, boxes[:, 1], boxes[:, 0], *options),
  )
  return PatchContrast(
    jnp.stack([side.loss for side in sides]),
    jnp.stack([side.active for side in sides]),
    sides[0].overlap,
  )
