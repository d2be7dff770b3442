"""Comparisons of two methods over seeds and images."""

import numpy as np
import pytest
from scipy import stats

from uda_jax.evaluate import by_image
from uda_jax.evaluate import metrics
from uda_jax.evaluate import paired


def _counts(random, gain, seeds=3, images=40, classes=4):
  """Counts of a method that labels about 50 + `gain` percent correctly."""
  matrix = np.zeros((seeds, images, classes, classes), np.int64)
  for s in range(seeds):
    for i in range(images):
      right = np.clip(random.normal(0.5 + gain, 0.1, classes), 0, 1)
      for c in range(classes):
        size = random.integers(50, 500)
        matrix[s, i, c, c] = hit = int(right[c] * size)
        matrix[s, i, c, (c + 1) % classes] = size - hit
  return matrix


def test_packed_counts_come_back():
  matrix = _counts(np.random.default_rng(0), 0.0)[0]
  texts = by_image.packed(matrix)
  counts = by_image.unpacked(texts)
  np.testing.assert_array_equal(counts, by_image.intersections(matrix))
  hit, union = counts.sum(0).T
  np.testing.assert_allclose(hit / union, metrics.iou(matrix.sum(0)))


@pytest.mark.parametrize('texts', [['1/2 3'], [''], ['1/2', '1/2 3/4']])
def test_other_texts_are_refused(texts):
  with pytest.raises(ValueError, match='expected'):
    by_image.unpacked(texts)


def test_difference_is_that_of_the_summed_counts():
  random = np.random.default_rng(1)
  one, two = _counts(random, 0.1), _counts(random, 0.0)
  found = paired.bootstrap(
    by_image.intersections(one), by_image.intersections(two), resamples=200
  )
  expected = [
    metrics.mean_iou(a.sum(0)) - metrics.mean_iou(b.sum(0))
    for a, b in zip(one, two)
  ]
  np.testing.assert_allclose(found.by_seed, expected)
  np.testing.assert_allclose(found.mean, np.mean(expected))
  assert found.low < found.mean < found.high
  assert 0 < found.low and found.p == pytest.approx(2 / 201)


def test_resamples_are_those_of_a_loop():
  """The sums as a product of matrices against drawing rows one by one."""
  random = np.random.default_rng(2)
  one, two = (_counts(random, g, seeds=2, images=5) for g in (0.05, 0.0))
  found = paired.bootstrap(
    by_image.intersections(one), by_image.intersections(two), resamples=400
  )
  draw = np.random.default_rng(3)
  loop = []
  for _ in range(400):
    images, seeds = draw.integers(0, 5, 5), draw.integers(0, 2, 2)
    scores = [
      np.mean([metrics.mean_iou(x[s][images].sum(0)) for s in seeds])
      for x in (one, two)
    ]
    loop.append(scores[0] - scores[1])
  low, high = np.quantile(loop, (0.025, 0.975))
  width = high - low
  assert abs(found.low - low) < 0.2 * width
  assert abs(found.high - high) < 0.2 * width


def test_no_difference_is_seldom_found():
  """With equal methods, about one test in twenty has p below 0.05."""
  p, random = [], np.random.default_rng(4)
  for _ in range(60):
    one, two = (_counts(random, 0.0, seeds=1, classes=2) for _ in range(2))
    found = paired.bootstrap(
      by_image.intersections(one), by_image.intersections(two), resamples=200
    )
    p.append(found.p)
  assert np.mean(np.array(p) < 0.05) < 0.17
  assert np.mean(p) > 0.3


def test_same_networks_and_same_seed():
  counts = by_image.intersections(_counts(np.random.default_rng(5), 0.0))
  same = paired.bootstrap(counts, counts, resamples=50)
  assert same == paired.Difference(0.0, (0.0, 0.0, 0.0), 0.0, 0.0, 1.0)
  other = by_image.intersections(_counts(np.random.default_rng(6), 0.0))
  call = lambda: paired.bootstrap(counts, other, resamples=50, seed=7)
  assert call() == call()


def test_chosen_and_absent_classes():
  counts = by_image.intersections(_counts(np.random.default_rng(7), 0.0))
  other = by_image.intersections(_counts(np.random.default_rng(8), 0.2))
  absent = [np.concatenate([x, 0 * x[:, :, :1]], 2) for x in (counts, other)]
  call = lambda pair, **kw: paired.bootstrap(*pair, resamples=50, **kw)
  assert call(absent) == call((counts, other))
  assert call(absent, classes=[1, 2]) == call(
    [x[:, :, 1:3] for x in (counts, other)]
  )


def test_shapes_are_checked():
  counts = np.ones((2, 3, 4, 2), int)
  for one, two in ((counts, counts[:1]), (counts[0], counts[0])):
    with pytest.raises(ValueError, match='expected two arrays'):
      paired.bootstrap(one, two)
  with pytest.raises(ValueError, match='expected two arrays'):
    paired.bootstrap(counts[:0], counts[:0])


def test_over_seeds_is_the_paired_test():
  one, two = [0.45, 0.48, 0.50, 0.44], [0.44, 0.43, 0.47, 0.45]
  low, high, p = paired.over_seeds(np.subtract(one, two))
  expected = stats.ttest_rel(one, two)
  interval = expected.confidence_interval()
  np.testing.assert_allclose((low, high, p), (*interval, expected.pvalue))
  assert np.isnan(paired.over_seeds([0.1])).all()
  assert paired.over_seeds([0.0, 0.0]) == (0.0, 0.0, 1.0)
  assert paired.over_seeds([0.1, 0.1]) == (0.1, 0.1, 0.0)


def test_what_cannot_be_compared_has_no_p():
  counts = by_image.intersections(_counts(np.random.default_rng(9), 0.0))
  other = by_image.intersections(_counts(np.random.default_rng(10), 0.1))
  absent = paired.bootstrap(0 * counts, 0 * counts, resamples=50)
  assert np.isnan([absent.mean, absent.low, absent.high, absent.p]).all()
  alone = paired.bootstrap(counts[:1, :1], other[:1, :1], resamples=50)
  assert np.isnan([alone.low, alone.high, alone.p]).all()
  assert alone.mean == alone.by_seed[0] != 0


def test_resamples_without_a_rare_class_are_left_out():
  """Its one image is missing in a third of them, which are no evidence."""
  counts = np.ones((2, 10, 1, 2), int)
  counts[:, 1:] = 0
  found = paired.bootstrap(counts, counts, resamples=200)
  assert found == paired.Difference(0.0, (0.0, 0.0), 0.0, 0.0, 1.0)


def test_ranges_of_the_options():
  counts = np.ones((2, 3, 4, 2), int)
  with pytest.raises(ValueError, match='resamples: expected 1 or more'):
    paired.bootstrap(counts, counts, resamples=0)
  for compare in (
    lambda level: paired.bootstrap(counts, counts, level=level),
    lambda level: paired.over_seeds([0.1, 0.2], level),
  ):
    with pytest.raises(ValueError, match='level: expected a number between'):
      compare(95)
