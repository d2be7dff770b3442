"""PiPa's memory bank: which cells it holds, and which it forgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.losses import patch_bank


def _cells(key, label):
  return patch_bank.PatchCells(
    jax.random.normal(key, (1, 2, 3, 4)),
    jnp.full((1, 2, 3), label),
    jnp.full((1, 2, 3), 0.5),
  )


def test_the_bank_forgets_the_oldest_block():
  bank = patch_bank.empty_bank(steps=2, size=4, channels=4)
  index = jnp.array([[0, 5], [3, 1]])
  blocks = []
  for step in range(3):
    keys = jax.random.split(jax.random.key(step))
    cells = [_cells(key, label=step) for key in keys]
    bank = patch_bank.push_bank(bank, *cells, index)
    blocks.append(
      np.concatenate(
        [np.reshape(c.vector, (6, 4))[i] for c, i in zip(cells, index)]
      )
    )
    assert bank.filled.sum() == min(step + 1, 2)
  np.testing.assert_array_equal(bank.vector, blocks[1:])
  np.testing.assert_array_equal(bank.label, [[1] * 4, [2] * 4])


def test_cells_are_drawn_once_and_not_more_than_there_are():
  index = patch_bank.draw_cells(jax.random.key(0), cells=5, count=5)
  np.testing.assert_array_equal(np.sort(index), [np.arange(5)] * 2)
  with pytest.raises(ValueError, match='count.*5 cells.*got 6'):
    patch_bank.draw_cells(jax.random.key(0), cells=5, count=6)
