"""Crop rules: all places, one-sided crops, rare classes."""

import numpy as np
import pytest
import tensorflow as tf

from uda_jax.data import crop_rules
from uda_jax.data import cutting
from uda_jax.data import transforms


def test_windows_reach_all_places():
  spec = transforms.Spec(crop_size=(3, 4))
  starts = {
    tuple(crop_rules.crop_window(np.float32(share), (5, 4), spec).start.numpy())
    for share in ((0, 0), (0.33, 0.9), (0.34, 0.5), (0.99, 0.99))
  }
  assert starts == {(0, 0), (1, 0), (2, 0)}


@pytest.mark.parametrize(
  'ids,accepted',
  [
    ([0, 0, 1, 1], True),
    ([0, 0, 0, 1], False),
    ([0, 0, 0, 1, 1], True),
    ([0, 0, 0, 0], False),
    ([255, 255, 255, 255], False),
    ([0, 1, 255, 255], True),
    ([0, 255, 255, 255], False),
  ],
)
def test_crops_need_two_classes_below_the_share(ids, accepted):
  counts = crop_rules.class_counts(np.array([ids], np.uint8), 3)
  assert bool(crop_rules.accept_crop(counts, 0.75)) == accepted


def choose(label, spec, wanted=None, count=60):
  label = tf.constant(label)
  full = tf.constant(label.shape.as_list())
  one = tf.function(
    lambda shares: cutting.cut_label(
      label,
      crop_rules.choose_window(shares, label, full, spec, 3, wanted),
      'bilinear',
    )
  )
  shares = np.random.default_rng(0).random(
    (count, crop_rules.DRAWS, crop_rules.DRAWS, 2), np.float32
  )
  return [one(tf.constant(s)).numpy() for s in shares]


def test_one_sided_crops_are_drawn_again():
  label = np.zeros((8, 40), np.uint8)
  label[:, 32:] = 1
  spec = transforms.Spec(crop_size=(8, 8))
  mixed = lambda crops: np.mean([len(np.unique(c)) > 1 for c in crops])
  # 7 of 33 places show both classes; with 11 draws all but 7 % of the crops.
  assert mixed(choose(label, spec)) < 0.45
  crops = choose(label, spec._replace(max_class_share=1 - 1e-6))
  assert 0.8 < mixed(crops)


def test_crop_without_any_good_place_is_kept():
  crops = choose(
    np.zeros((8, 40), np.uint8),
    transforms.Spec(crop_size=(8, 8), max_class_share=0.5),
    count=2,
  )
  assert [c.shape for c in crops] == [(8, 8)] * 2


def test_crops_hold_enough_of_the_rare_class():
  label = np.zeros((8, 40), np.uint8)
  label[4, 36:] = 2
  spec = transforms.Spec(crop_size=(8, 8))
  found = lambda crops: np.mean([(c == 2).sum() > 1 for c in crops])
  assert found(choose(label, spec)) < 0.3
  # 3 of 33 places hold more than one such pixel; 11 draws find one in 65 %.
  wanted = crop_rules.Wanted(tf.constant(2), 1.0)
  assert 0.45 < found(choose(label, spec, wanted))
