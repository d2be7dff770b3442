"""Enlarged windows with the labels of the whole image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.augment import scale_invariant

IGNORE = labels.IGNORE_LABEL


def test_windows_reach_both_ends():
  starts = np.asarray(
    scale_invariant.draw_windows(jax.random.key(0), (6, 9), (4, 6), count=200)
  )
  assert {tuple(s) for s in starts} == {
    (y, x) for y in range(3) for x in range(4)
  }
  whole = scale_invariant.draw_windows(
    jax.random.key(0), (6, 9), (6, 9), count=3
  )
  np.testing.assert_array_equal(whole, 0)


def test_zoom_keeps_corners_and_lines():
  y, x = np.mgrid[:8, :10].astype(np.float32)
  image = np.stack([y, x], -1)
  zoomed = scale_invariant.zoom(
    jnp.asarray(image), jnp.array([2, 3]), window=(4, 5)
  )
  rows, columns = np.linspace(2, 5, 8), np.linspace(3, 7, 10)
  np.testing.assert_allclose(
    zoomed[..., 0], np.repeat(rows[:, None], 10, 1), rtol=1e-6
  )
  np.testing.assert_allclose(
    zoomed[..., 1], np.repeat(columns[None], 8, 0), rtol=1e-6
  )


def _label(prob, keep, rule):
  return np.asarray(
    jax.jit(
      lambda p, k: scale_invariant.zoom_label(
        p, k, jnp.array([0, 0]), window=(2, 2), keep_rule=rule
      )
    )(prob, keep)
  )


def test_labels_come_from_probabilities_and_trust_spreads_or_shrinks():
  prob = jax.nn.one_hot(jnp.array([[0, 1], [0, 1]]), 2)
  prob = jnp.pad(prob, [(0, 2), (0, 2), (0, 0)])
  keep = jnp.zeros((4, 4), bool).at[:2, 0].set(True)
  row = lambda label: label[0].tolist()
  # Only the last column of the window has no share of the kept one.
  assert row(_label(prob, keep, 'any')) == [0, 0, 1, IGNORE]
  assert row(_label(prob, keep, 'full')) == [0, IGNORE, IGNORE, IGNORE]
  assert (_label(prob, jnp.zeros_like(keep), 'any') == IGNORE).all()
  assert (_label(prob, jnp.ones_like(keep), 'full') != IGNORE).all()
  with pytest.raises(ValueError, match='keep_rule'):
    _label(prob, keep, 'most')


def test_pixels_of_images_that_were_not_enlarged_come_back():
  levels = jnp.arange(256, dtype=jnp.uint8)
  image = jnp.broadcast_to(levels[:, None], (256, 3))
  back = jax.jit(scale_invariant.to_pixels)(image.astype(jnp.float32) / 255)
  np.testing.assert_array_equal(back, image)
  assert scale_invariant.to_pixels(jnp.array([1.1, -0.1, 0.999])).tolist() == [
    255,
    0,
    254,
  ]


@pytest.mark.parametrize('rule', scale_invariant.KEEP_RULES)
def test_a_mask_of_numbers_is_that_of_its_truth(rule):
  random = np.random.default_rng(3)
  prob = jax.nn.softmax(jnp.asarray(random.normal(size=(8, 8, 3))))
  keep = random.random((8, 8)) < 0.7
  labeled = lambda keep: scale_invariant.zoom_label(
    prob, keep, jnp.array([2, 1]), window=(4, 4), keep_rule=rule
  )
  np.testing.assert_array_equal(labeled(keep.astype(np.int32)), labeled(keep))
