"""Boxes: draws, crops, and pasting back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax.ops import boxes as boxes_lib


def test_corners_of_the_published_crop_leave_out_the_last():
  size, crop = (1024, 2048), (512, 512)
  assert boxes_lib.corner_counts(size, crop) == (64, 192)
  assert boxes_lib.corner_counts(size, crop, include_last=True) == (65, 193)


def test_a_crop_as_large_as_the_image_has_one_place():
  for include_last in (False, True):
    box = boxes_lib.draw_box(
      jax.random.key(3), (24, 32), (24, 32), include_last=include_last
    )
    np.testing.assert_array_equal(box, (0, 24, 0, 32))


def test_a_crop_larger_than_the_image_is_refused():
  with pytest.raises(ValueError, match='crop_size'):
    boxes_lib.draw_box(jax.random.key(0), (24, 32), (32, 32))


@pytest.mark.parametrize('include_last', [False, True])
def test_every_corner_is_drawn_about_equally_often(include_last):
  draw = jax.vmap(
    lambda key: boxes_lib.draw_box(
      key, (40, 24), (16, 16), divisible=8, include_last=include_last
    )
  )
  boxes = np.asarray(draw(jax.random.split(jax.random.key(0), 1200)))
  np.testing.assert_array_equal(boxes[:, 1::2] - boxes[:, ::2], 16)
  places = [
    (y, x)
    for y in range(0, 25 if include_last else 24, 8)
    for x in range(0, 9 if include_last else 8, 8)
  ]
  seen, counts = np.unique(boxes[:, ::2], axis=0, return_counts=True)
  np.testing.assert_array_equal(seen, places)
  expected = 1200 / len(places)
  np.testing.assert_allclose(counts, expected, atol=5 * expected**0.5)


def test_cut_and_paste_undo_each_other_for_one_box_and_for_one_an_image():
  x = np.arange(2 * 9 * 11 * 3.0).reshape(2, 9, 11, 3)
  shared = np.array([2, 6, 5, 10])
  own = np.array([[2, 6, 5, 10], [5, 9, 0, 5]])
  for box in (shared, own):
    piece = boxes_lib.cut(x, jnp.asarray(box), (4, 5))
    back = boxes_lib.paste(piece, jnp.asarray(box), (9, 11))
    covered = boxes_lib.inside(jnp.asarray(box), (9, 11))
    assert covered.shape == (np.atleast_2d(box).shape[0], 9, 11, 1)
    np.testing.assert_array_equal(back, np.where(covered, x, 0))
    for i, (y1, y2, x1, x2) in enumerate(np.broadcast_to(box, (2, 4))):
      np.testing.assert_array_equal(piece[i], x[i, y1:y2, x1:x2])
  label = x[..., 0].astype(np.int32)
  assert boxes_lib.cut(label, jnp.asarray(own), (4, 5)).shape == (2, 4, 5)


def test_windows_reach_the_end():
  assert boxes_lib.window_starts(2048, 1024, 512) == (0, 512, 1024)
  assert boxes_lib.window_starts(19, 12, 5) == (0, 5, 7)
  assert boxes_lib.window_starts(9, 12, 6) == (0,)


@pytest.mark.parametrize('size', [(9, 12), (8, 8), (5, 7)])
def test_the_mean_over_windows_of_an_image_is_the_image(size):
  x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
  boxes = boxes_lib.sliding_boxes(size, (6, 8), (3, 4))
  windows = boxes_lib.stack(x, boxes)
  assert len(windows) == 2 * len(boxes)
  np.testing.assert_array_equal(windows[-2:], boxes_lib.stack(x, boxes[-1:]))
  np.testing.assert_allclose(
    boxes_lib.average(windows, boxes, size), x, rtol=1e-6
  )


def test_windows_that_differ_are_averaged_where_they_overlap():
  boxes = boxes_lib.sliding_boxes((2, 6), (2, 4), (2, 2))
  x = jnp.stack([jnp.full((2, 4, 1), 1.0), jnp.full((2, 4, 1), 3.0)])
  np.testing.assert_allclose(
    boxes_lib.average(x, boxes, (2, 6))[0, 0, :, 0], [1, 1, 2, 2, 3, 3]
  )
