"""Contrast of crops: analytic values, gradients, mirrored crops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.losses import patch_bank
from uda_jax.losses import patch_contrast
from uda_jax.losses.patch_bank import PatchCells

_contrast = jax.jit(
  patch_contrast.paired_patch_contrast,
  static_argnames=('threshold', 'temperature'),
)
WHOLE = jnp.array([[[0, 2, 0, 3]] * 2])


def _cells(key, confidence):
  x = jax.random.normal(key, (1, 2, 3, 4))
  return PatchCells(
    x / jnp.linalg.norm(x, axis=-1, keepdims=True),
    jnp.zeros((1, 2, 3), int),
    jnp.full((1, 2, 3), confidence),
  )


def _bank(vector, label):
  bank = patch_bank.empty_bank(steps=2, size=len(vector), channels=4)
  return bank._replace(
    vector=bank.vector.at[1].set(vector),
    label=bank.label.at[1].set(jnp.array(label)),
    filled=jnp.array([False, True]),
  )


def test_the_less_confident_crop_learns_from_other_classes_of_the_bank():
  same = jnp.broadcast_to(jnp.eye(4)[0], (1, 2, 3, 4))
  first = PatchCells(same, jnp.zeros((1, 2, 3), int), jnp.full((1, 2, 3), 0.5))
  second = first._replace(confidence=jnp.full((1, 2, 3), 0.95))
  # One vector of its own class, two of others, all orthogonal.
  bank = _bank(jnp.eye(4)[1:], [0, 1, 2])
  found = _contrast(first, second, WHOLE, bank, temperature=0.5)
  np.testing.assert_allclose(
    found.loss, [np.log1p(2 * np.exp(-2)), 0], rtol=1e-6
  )
  np.testing.assert_array_equal(found.active, [6, 0])
  assert found.overlap == 6


@pytest.mark.parametrize('filled', [False, True])
def test_gradients_reach_anchors_alone_and_are_finite(filled):
  keys = jax.random.split(jax.random.key(0), 3)
  cells = _cells(keys[0], 0.2), _cells(keys[1], 0.95)
  bank = _bank(_cells(keys[2], 1.0).vector[0, 0], [1, 1, 0])
  bank = bank._replace(filled=bank.filled & filled)

  def loss(vectors, bank_vector):
    first, second = (c._replace(vector=v) for c, v in zip(cells, vectors))
    return patch_contrast.paired_patch_contrast(
      first, second, WHOLE, bank._replace(vector=bank_vector)
    ).loss.sum()

  value, (first, second) = jax.jit(jax.value_and_grad(loss))(
    tuple(c.vector for c in cells), bank.vector
  )
  assert np.isfinite(value) and np.isfinite(first).all()
  # Without negatives there is nothing to learn.
  assert np.any(first) == filled and not np.any(second)


def test_nobody_is_confident():
  keys = jax.random.split(jax.random.key(0))
  first, second = _cells(keys[0], 0.5), _cells(keys[1], 0.6)
  bank = patch_bank.empty_bank(steps=1, size=2, channels=4)
  found = _contrast(first, second, WHOLE, bank)
  assert not np.any(found.loss) and not np.any(found.active)


def test_cells_meet_at_their_places_whoever_is_mirrored():
  # The second crop lies one cell below and one to the right of the first.
  scene = jax.random.normal(jax.random.key(0), (3, 4, 4))
  scene = scene / jnp.linalg.norm(scene, axis=-1, keepdims=True)
  boxes = jnp.array([[[1, 2, 1, 3], [0, 1, 0, 2]]])
  cut = lambda y, x, confidence: PatchCells(
    scene[None, y : y + 2, x : x + 3],
    jnp.zeros((1, 2, 3), int),
    jnp.full((1, 2, 3), confidence),
  )
  first, second = cut(0, 0, 0.5), cut(1, 1, 0.95)
  bank = _bank(jnp.eye(4)[1:], [1, 1, 1])
  plain = _contrast(first, second, boxes, bank)
  anchors = scene[1, 1:3].reshape(2, 4)
  negative = np.exp((anchors @ jnp.eye(4)[1:].T) / 0.1).sum(1)
  np.testing.assert_allclose(
    plain.loss[0], np.log1p(negative / np.exp(10)).mean(), rtol=1e-4
  )
  seen = PatchCells(*(jnp.flip(x, 2) for x in second))
  back = patch_contrast.mirror_back(seen, jnp.array([True]))
  np.testing.assert_array_equal(back.vector, second.vector)
