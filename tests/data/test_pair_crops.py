"""Pairs of overlapping crops: geometry, and batches of the pipeline."""

import jax
import numpy as np
import pytest
import tensorflow as tf

from tests.data import tiny_folder
from uda_jax.data import pair_crops
from uda_jax.data import pipeline

_PAIR = pair_crops.Spec((16, 16), (20, 60), (0.1, 1.0), 4)
_CONFIG = tiny_folder.data(
  pair=dict(
    crop_size=(16, 16),
    long_side=(18, 40),
    overlap=(0.1, 1.0),
    stride=4,
    group_size=3,
    first_step=2,
  )
)


def test_overlap_is_the_same_place_in_both_crops():
  first, full = tf.constant([10, 5]), tf.constant([40, 60])
  second, number = pair_crops.second_corner(
    first, tf.constant([[0, 59], [15, 2]]), _PAIR
  )
  # The first candidate does not overlap; the second is 4 down, 4 left.
  assert int(number) == 1
  np.testing.assert_array_equal(second, [14, 1])
  boxes = pair_crops.overlap_boxes(first, second, full, _PAIR)
  np.testing.assert_array_equal(boxes, [[4, 16, 0, 12], [0, 12, 4, 16]])


def test_without_an_accepted_crop_both_are_the_same():
  first = tf.constant([0, 0])
  second, number = pair_crops.second_corner(
    first, tf.constant([[30, 30], [30, 0]]), _PAIR
  )
  np.testing.assert_array_equal(second, first)
  assert int(number) == 2
  boxes = pair_crops.overlap_boxes(first, second, tf.constant([18, 30]), _PAIR)
  np.testing.assert_array_equal(boxes, [[0, 16, 0, 16]] * 2)


def test_padding_is_no_overlap():
  same = tf.constant([0, 0])
  boxes = pair_crops.overlap_boxes(same, same, tf.constant([11, 30]), _PAIR)
  np.testing.assert_array_equal(boxes, [[0, 8, 0, 16]] * 2)


def test_a_crop_that_no_stride_divides_is_an_error():
  config = _CONFIG.copy_and_resolve_references().pair
  config.crop_size = (16, 18)
  with pytest.raises(ValueError, match='config.data.pair.crop_size.*multiples'):
    pair_crops.spec(config)


@pytest.fixture(name='data', scope='module')
def _data(tmp_path_factory):
  folder = tiny_folder.write(tmp_path_factory.mktemp('pairs') / 'data')
  return tiny_folder.load(folder)


def _views(data, first_step=0, process_index=0, process_count=1):
  return [
    batch.views
    for batch in pipeline.train_batches(
      _CONFIG,
      seed=1,
      first_step=first_step,
      num_steps=4,
      groups=2,
      group_size=1,
      process_index=process_index,
      process_count=process_count,
      source=data,
      target=data,
    )
  ]


def test_pairs_come_when_asked_for_and_show_the_same_scene(data):
  views = _views(data)
  assert views[:2] == [None, None]
  seen = 0
  for group in views[2:]:
    assert group['image'].shape == (2, 3, 2, 16, 16, 3)
    rows = zip(*(x.reshape(-1, *x.shape[2:]) for x in group.values()))
    for images, boxes, flipped in rows:
      cuts = [
        (image[:, ::-1] if mirror else image)[y1:y2, x1:x2]
        for image, mirror, (y1, y2, x1, x2) in zip(images, flipped, boxes)
      ]
      # Both are interpolated at the same places, up to rounding.
      np.testing.assert_allclose(*(x.astype(int) for x in cuts), atol=1)
      seen += cuts[0].size and not np.array_equal(*boxes)
  assert seen  # there are pairs of different crops
  assert (
    len({bool(x) for group in views[2:] for x in group['flipped'].ravel()}) == 2
  )


def test_resumed_and_shared_pairs_are_the_same(data):
  views = _views(data)
  jax.tree.map(np.testing.assert_array_equal, _views(data, 3), views[3:])
  shares = [_views(data, 2, index, 2) for index in range(2)]
  joined = jax.tree.map(lambda *x: np.concatenate(x), *shares)
  jax.tree.map(np.testing.assert_array_equal, joined, views[2:])
