"""Fractions, lists and choices of LSE's rounds."""

import numpy as np
import pytest

from uda_jax.train import round_ranking

NAMES = ('a.png', 'b.png', 'c.png', 'd.png')
NAN = np.nan


def test_portions_are_summed_in_double_precision():
  shares = round_ranking.portions(0.1, 0.05, 0.4)
  assert len(shares) == 7 and shares[-1] < 0.4 and shares[1] > 0.15
  # At most int(1 / start) rounds.
  assert round_ranking.portions(0.5, 0.0, 1.0) == (0.5, 0.5)
  with pytest.raises(ValueError, match='config.rounds.p_start'):
    round_ranking.portions(0.0, 0.1, 1.0)


def test_order_breaks_ties_by_descending_name():
  confidence = np.array([0.5, NAN, 0.9, 0.5])
  assert round_ranking.order(confidence, NAMES) == [2, 3, 0]


def _choose(**options):
  confidence = np.array(
    [[0.9, 0.1, NAN], [0.8, 0.2, NAN], [0.7, 0.3, NAN], [0.6, 0.4, NAN]]
  )
  entropy = np.array(
    [[0.1, 0.2, NAN], [0.3, 0.4, NAN], [0.5, 0.6, NAN], [NAN, 0.8, NAN]]
  )
  options = dict(portion=1.0, divisor=2, skip_classes=()) | options
  return round_ranking.choose(
    confidence, entropy, NAMES, np.array([0.7, 0.8, 0.9]), **options
  )


def test_every_class_takes_its_share_and_a_limit():
  choice = _choose()
  assert choice.images == (0, 1, 3, 2)
  assert choice.counts.tolist() == [2, 2, 0]
  assert choice.limit_images.tolist() == [2, 1, -1]
  # The class that is predicted nowhere keeps its limit.
  np.testing.assert_array_equal(choice.limits, [0.5, 0.4, 0.9])


def test_an_image_of_two_classes_is_chosen_once():
  assert _choose(portion=1.5).images == (0, 1, 2, 3)


def test_an_undefined_limit_trusts_every_pixel():
  assert _choose(portion=1.5).limits[0] == np.inf


def test_skipped_classes_choose_nothing():
  choice = _choose(skip_classes=(0,))
  assert choice.images == (3, 2)
  assert choice.limits[0] == 0.7


def test_a_small_share_chooses_nothing_but_sets_limits():
  choice = _choose(divisor=100)
  assert choice.images == () and choice.limits[0] == 0.1
