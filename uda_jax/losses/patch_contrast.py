"""Contrast between two overlapping crops of the target (PiPa, section 3.3).

Both crops show the same scene in their overlap: a cell's vector shall be near
that of the same place in the other crop, and away from vectors of other
classes, which a bank keeps from the last steps. Who learns is the less
confident of the two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from uda_jax.ops import boxes as boxes_lib

EPS = 1e-8
# Anchors that are compared with the bank at a time.
CHUNK = 1024


class PatchCells(NamedTuple):
  """What is known of a crop's cells.

  Attributes:
    vector: [B, h, w, D] float of unit length.
    label: [B, h, w] int32 predicted class.
    confidence: [B, h, w] float in [0, 1] of that class.
  """

  vector: jax.Array
  label: jax.Array
  confidence: jax.Array


class PatchBank(NamedTuple):
  """Blocks of vectors of the last steps, the newest last.

  Attributes:
    vector: [steps, n, D] float of unit length.
    label: [steps, n] int32 class.
    filled: [steps] bool.
  """

  vector: jax.Array
  label: jax.Array
  filled: jax.Array


class PatchContrast(NamedTuple):
  """Of the first and of the second crop as the anchor.

  Attributes:
    loss: [2] float.
    active: [2] int32, anchors that learn.
    overlap: [] int32, cells that both crops see.
  """

  loss: jax.Array
  active: jax.Array
  overlap: jax.Array


def mirror_back(cells: PatchCells, flipped: jax.Array) -> PatchCells:
  """Undoes the mirroring of crops; `flipped` is [B] bool."""

  def one(x):
    chosen = flipped.reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.where(chosen, jnp.flip(x, 2), x)

  return PatchCells(*map(one, cells))


def empty_bank(
  *, steps: int, size: int, channels: int, dtype: Any = float
) -> PatchBank:
  """Returns a bank [steps, size, channels] for that many blocks of vectors."""
  return PatchBank(
    jnp.zeros((steps, size, channels), dtype),
    jnp.zeros((steps, size), jnp.int32),
    jnp.zeros(steps, bool),
  )


def draw_cells(key: jax.Array, *, cells: int, count: int) -> jax.Array:
  """Draws `count` different cells of each crop: [2, count] int32."""
  if count > cells:
    raise ValueError(
      'config.method.patch_samples: expected at most the number of cells of '
      f'the crops of a group, {cells}, got {count}'
    )
  draw = lambda key: jax.random.choice(key, cells, (count,), replace=False)
  return jax.vmap(draw)(jax.random.split(key)).astype(jnp.int32)


def push_bank(
  bank: PatchBank, first: PatchCells, second: PatchCells, index: jax.Array
) -> PatchBank:
  """Adds a step's block to the bank, and forgets the oldest.

  Args:
    bank: as the last step left it.
    first: of the first crop, as the network saw it (mirrored or not).
    second: of the second crop.
    index: [2, n / 2] int32 places in [0, B * h * w), see `draw_cells`.

  Returns:
    The bank; no gradient passes.
  """

  def block(get):
    pick = lambda x, places: x.reshape(-1, *x.shape[3:])[places]
    return jnp.concatenate(
      [pick(get(first), index[0]), pick(get(second), index[1])]
    )

  vector = block(lambda cells: cells.vector).astype(bank.vector.dtype)
  label = block(lambda cells: cells.label).astype(bank.label.dtype)
  append = lambda old, new: jnp.concatenate([old[1:], new[None]])
  return jax.lax.stop_gradient(
    PatchBank(
      append(bank.vector, vector),
      append(bank.label, label),
      append(bank.filled, jnp.ones((), bool)),
    )
  )


def _anchor_losses(
  vector: jax.Array,
  partner: jax.Array,
  label: jax.Array,
  bank: PatchBank,
  temperature: float,
) -> jax.Array:
  """The losses [n] of anchors [n, D] with partners [n, D], classes [n]."""
  exists = jnp.repeat(bank.filled, bank.label.shape[1])
  bank_vector = bank.vector.reshape(-1, bank.vector.shape[-1])
  bank_label = bank.label.reshape(-1)

  @jax.checkpoint  # the similarities of all anchors would take gigabytes
  def one(anchor):
    vector, partner, label = anchor
    positive = (vector * partner).sum() / temperature
    similarity = (
      jnp.matmul(bank_vector, vector, precision=jax.lax.Precision.HIGHEST)
      / temperature
    )
    # Released code: over its first 8000 entries; it matters up to EPS.
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
  own: PatchCells,
  other: PatchCells,
  own_box: jax.Array,
  other_box: jax.Array,
  bank: PatchBank,
  threshold: float,
  temperature: float,
) -> PatchContrast:
  """The contrast with the cells of one crop as anchors."""
  other = jax.lax.stop_gradient(other)

  def move(x, own_box, other_box):
    """Brings the other crop's cells to their places in this crop."""
    return jnp.roll(x, (own_box - other_box)[::2], (0, 1))

  partner = PatchCells(*(jax.vmap(move)(x, own_box, other_box) for x in other))
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
  # Padding of the last chunk and inactive anchors carry no NaN: all lengths
  # are 0 or 1.
  mean = jnp.where(active.reshape(-1), loss, 0).sum() / jnp.maximum(count, 1)
  return PatchContrast(mean, count, overlap.sum())


def paired_patch_contrast(
  first: PatchCells,
  second: PatchCells,
  boxes: jax.Array,
  bank: PatchBank,
  *,
  threshold: float = 0.9,
  temperature: float = 0.1,
) -> PatchContrast:
  """Computes the contrast of two crops in both directions (equation 4).

  For an anchor z with the other crop's z' at the same place, over the vectors
  b of other classes in the bank: -log of exp(z z' / T) over itself plus the
  sum of exp(z b / T). A cell is an anchor where the other crop is more
  confident, and above the threshold (released code). Gradients reach anchors
  alone.

  Args:
    first: of the first crop, mirrored back.
    second: of the second crop, mirrored back.
    boxes: [B, 2, 4] int32, the overlap in the first and in the second crop, of
      equal sizes, in cells.
    bank: of this step, see `push_bank`.
    threshold: of the confidence.
    temperature: T.

  Returns:
    Losses and counts; a crop without anchors gives 0.
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
