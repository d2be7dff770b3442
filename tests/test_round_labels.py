"""The count of right labels in the patches of LSE."""

import numpy as np

from benchmarks import round_labels
from uda_jax.augment import scale_invariant


def test_confusion_leaves_out_what_is_not_known():
  patch = np.array([[0, 0, 1, 255], [1, 1, 2, 0]])
  truth = np.array([[0, 1, 1, 1], [1, 255, 0, 0]])
  ours = round_labels.confusion(patch, truth, 3)
  np.testing.assert_array_equal(ours, [[2, 1, 0], [0, 2, 0], [1, 0, 0]])


def test_the_true_labels_of_a_window_are_enlarged_as_its_labels_are():
  random = np.random.default_rng(0)
  # Blocks of 3 x 3 pixels: the two rules differ at borders only.
  truth = random.integers(0, 5, (8, 16)).repeat(3, 0).repeat(3, 1)
  prob = np.eye(5)[truth]
  start, window = np.array([5, 11]), (12, 24)
  ours = round_labels.enlarged(truth, start, window, truth.shape)
  label = scale_invariant.zoom_label(
    prob, np.ones(truth.shape, bool), start, window=window
  )
  assert (ours == label).mean() > 0.97
  other = round_labels.enlarged(truth, start + 3, window, truth.shape)
  assert (other == label).mean() < 0.7
  np.testing.assert_array_equal(
    round_labels.enlarged(truth, (0, 0), truth.shape, truth.shape), truth
  )


def test_a_truth_of_another_size_is_read_at_the_same_places():
  truth = np.arange(8).repeat(2)[:, None].repeat(16, 1)
  ours = round_labels.enlarged(truth, (0, 0), (8, 8), (8, 8))
  np.testing.assert_array_equal(ours, np.arange(8)[:, None].repeat(8, 1))


def test_table():
  text = round_labels.table(np.array([[3, 1], [0, 0]]), ['road', 'sky'])
  # A class that nothing is said to be has no row.
  assert text.splitlines()[2:] == [
    '| all | | 75 % | |',
    '| road | 100.0 % | 75 % | sky |',
  ]
