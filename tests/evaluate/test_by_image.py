"""Scores of single images."""

import json
import os

import numpy as np

from uda_jax.evaluate import by_image
from uda_jax.evaluate import counts


def _counts(size):
  """Image i of `size` has a share of i / size of right pixels."""
  matrix = np.array([[[i, size - i], [0, size]] for i in range(size)])
  return counts.Counts(
    np.arange(size), matrix, np.linspace(0.5, 1, size, endpoint=False)
  )


def test_the_worst_and_the_best_are_named():
  found = by_image.summary(_counts(30), [f'/x/{i}.png' for i in range(30)])
  assert found == json.loads(json.dumps(found))
  assert [row['number'] for row in found['worst']] == list(range(10))
  assert [row['number'] for row in found['best']] == list(range(29, 19, -1))
  worst = found['worst'][3]
  assert worst['image'] == '/x/3.png'
  # 3 of 30 and 30 of 57: intersections over unions.
  np.testing.assert_allclose(worst['miou'], (3 / 30 + 30 / 57) / 2)
  np.testing.assert_allclose(worst['pixel_accuracy'], 33 / 60)
  np.testing.assert_allclose(worst['confidence'], 0.55)
  assert found['count'] == 30
  assert by_image.shown(found) == {
    'worst': [0, 1, 2, 3],
    'best': [29, 28, 27, 26],
  }


def test_images_without_labels_are_left_out():
  one = _counts(3)
  one.matrix[0] = 0
  found = by_image.summary(one, ['a', 'b', 'c'])
  assert found['count'] == 2
  assert [row['image'] for row in found['worst']] == ['b', 'c']
  one.matrix[:] = 0
  found = by_image.summary(one, ['a', 'b', 'c'])
  assert found['worst'] == [] and found['miou_quantiles'] == {}


def test_names_that_are_not_utf8():
  names = [os.fsdecode(name) for name in (b'caf\xe9', b'b', b'c')]
  found = by_image.summary(_counts(3), names)
  assert (
    found['names'] != by_image.summary(_counts(3), ['a', 'b', 'c'])['names']
  )


def test_random_images_are_those_of_every_run():
  assert by_image.random_numbers(100) == by_image.random_numbers(100)
  assert by_image.random_numbers(2) == [0, 1]
