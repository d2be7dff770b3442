"""PiPa's memory bank: cells of the crops of the last steps.

The contrast of two crops takes its negatives from it, `patch_contrast`
(arXiv 2211.07609, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class PatchCells(NamedTuple):
  """Embeddings and predictions at the positions (cells) of a crop.

  Attributes:
    vector: [B, h, w, D] float, unit length.
    label: [B, h, w] int32, predicted class.
    confidence: [B, h, w] float in [0, 1], probability of that class.
  """

  vector: jax.Array
  label: jax.Array
  confidence: jax.Array


class PatchBank(NamedTuple):
  """Memory bank: one block of vectors per step, the newest last.

  Attributes:
    vector: [steps, n, D] float, unit length.
    label: [steps, n] int32, class of each vector.
    filled: [steps] bool, False for blocks that no step has filled yet.
  """

  vector: jax.Array
  label: jax.Array
  filled: jax.Array


def empty_bank(*, steps: int, size: int, channels: int) -> PatchBank:
  """Memory bank without vectors.

  Args:
    steps: number of steps whose vectors are kept.
    size: n, number of vectors of a step.
    channels: D.

  Returns:
    Bank of zeros [steps, n, D] with no block filled.

  Example:
    >>> bank = empty_bank(steps=3, size=8, channels=4)
    >>> print(bank.vector.shape, bank.filled)
    (3, 8, 4) [False False False]
  """
  return PatchBank(
    jnp.zeros((steps, size, channels)),
    jnp.zeros((steps, size), jnp.int32),
    jnp.zeros(steps, bool),
  )


def draw_cells(key: jax.Array, *, cells: int, count: int) -> jax.Array:
  """Draws cells of both crops without replacement.

  Args:
    key: a JAX key.
    cells: number of cells of one crop of the whole group, B * h * w.
    count: number of cells to draw of each crop.

  Returns:
    [2, count] int32, distinct flat indices in [0, cells) in each row.

  Raises:
    ValueError: `count` exceeds `cells`.

  Example:
    >>> print(draw_cells(jax.random.key(0), cells=1, count=1).T)
    [[0 0]]
  """
  if count > cells:
    raise ValueError(
      f'count: expected at most the {cells} cells of a crop of the whole '
      f'group, got {count}'
    )
  draw = lambda key: jax.random.choice(key, cells, (count,), replace=False)
  return jax.vmap(draw)(jax.random.split(key)).astype(jnp.int32)


def push_bank(
  bank: PatchBank, first: PatchCells, second: PatchCells, index: jax.Array
) -> PatchBank:
  """Appends a block of vectors to the memory bank and drops the oldest.

  Args:
    bank: bank of n vectors a step.
    first: cells of the first crop, as the network saw it (mirrored or not).
    second: cells of the second crop.
    index: [2, n / 2] int32 in [0, B * h * w), see `draw_cells`.

  Returns:
    The updated bank, without gradient.

  Example:
    >>> label = jnp.array([[[4, 5, 6]]])
    >>> cells = PatchCells(jnp.ones((1, 1, 3, 2)), label, jnp.ones((1, 1, 3)))
    >>> bank = empty_bank(steps=2, size=4, channels=2)
    >>> bank = push_bank(bank, cells, cells, jnp.array([[0, 1], [1, 2]]))
    >>> print(bank.label, bank.filled)
    [[0 0 0 0]
     [4 5 5 6]] [False  True]
  """

  def block(get: Callable[[PatchCells], jax.Array]) -> jax.Array:
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
