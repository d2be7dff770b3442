"""Choice of the source classes that EHTDI pastes, and borders of masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import labels
from uda_jax.augment import class_paste

IGNORE = labels.IGNORE_LABEL
POOL = (2, 3, 4)


def _label(*ids):
  """One image of stripes."""
  return jnp.asarray(np.repeat([ids], 2, 0)[None], jnp.int32)


def _drawn(*positions, num_classes=5):
  drawn = np.zeros((1, num_classes + 1), bool)
  drawn[0, list(positions)] = True
  return jnp.asarray(drawn)


@pytest.mark.parametrize(
  ('ids', 'count'),
  [
    ((0, 1, IGNORE), 0),
    ((0, 3), 1),
    ((2, 3), 1),
    ((2, 3, 4), 1),
    ((IGNORE,), 0),
  ],
)
def test_half_of_the_pool_is_drawn(ids, count):
  drawn = class_paste.draw_paste_positions(
    jax.random.key(0), _label(*ids), num_classes=5, pool=POOL
  )
  assert drawn.sum() == count
  present = sum(c in POOL for c in ids)
  assert not drawn[0, present:].any()


def test_draws_are_spread_over_the_pool():
  draw = jax.jit(
    jax.vmap(
      lambda key: class_paste.draw_paste_positions(
        key, _label(2, 3, 4), num_classes=5, pool=POOL
      )[0]
    )
  )
  share = draw(jax.random.split(jax.random.key(1), 600)).mean(0)
  np.testing.assert_allclose(share[:3], 1 / 3, atol=0.08)


@pytest.mark.parametrize(
  ('offset', 'position', 'expected'),
  [
    # Ids that occur, in order: ignored, 1, 2, 4.
    (0, 0, 2),
    (0, 1, 4),
    (-1, 0, 1),
    (-1, 1, 2),
  ],
)
def test_offset_moves_along_the_ids_that_occur(offset, position, expected):
  label = _label(1, 2, 4, IGNORE)
  mask = class_paste.paste_mask(
    label, _drawn(position), pool=POOL, offset=offset
  )
  np.testing.assert_array_equal(mask, label == expected)


def test_the_one_before_the_first_is_the_last():
  label = _label(2, 4)
  mask = class_paste.paste_mask(label, _drawn(0), pool=POOL, offset=-1)
  np.testing.assert_array_equal(mask, label == 4)


def test_any_classes_can_be_the_pool():
  label = _label(0, 1, 4)
  mask = class_paste.paste_mask(label, _drawn(0), pool=(0, 2), offset=0)
  np.testing.assert_array_equal(mask, label == 0)


def test_border():
  mask = np.zeros((1, 5, 6), bool)
  mask[0, 1:3, 2:4] = True
  # A pixel, the one above, the one on the left: any two that differ.
  expected = np.zeros((5, 6), bool)
  expected[1:4, 2:5] = True
  expected[2, 3] = False
  np.testing.assert_array_equal(
    class_paste.mask_border(jnp.asarray(mask))[0], expected
  )


@pytest.mark.parametrize('value', [False, True])
def test_empty_and_full_masks_have_no_border(value):
  assert not class_paste.mask_border(jnp.full((2, 4, 4), value)).any()
