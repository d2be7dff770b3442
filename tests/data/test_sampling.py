"""The order of training, and rare classes."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.data import tiny_folder
from uda_jax.data import domains as domains_lib
from uda_jax.data import manifest
from uda_jax.data import sampling

_TOOLS = pathlib.Path(__file__).parents[1] / 'golden/dataset_tools'


def order(seed, domain, elements, size):
  one = tf.function(lambda k: sampling.permuted_index(seed, domain, k, size))
  return [int(one(tf.constant(k, tf.int64))) for k in elements]


@pytest.mark.parametrize('size', [1, 2, 7])
def test_every_epoch_is_a_permutation(size):
  indices = np.array(order(3, sampling.SOURCE, range(6 * size), size))
  epochs = indices.reshape(6, size)
  np.testing.assert_array_equal(np.sort(epochs), [list(range(size))] * 6)


def test_orders_differ_by_epoch_domain_and_seed():
  orders = [
    order(3, sampling.SOURCE, range(30), 30),
    order(3, sampling.SOURCE, range(30, 60), 30),
    order(3, sampling.TARGET, range(30), 30),
    order(4, sampling.SOURCE, range(30), 30),
  ]
  assert len({tuple(o) for o in orders}) == 4


def test_uniform_integers_reach_both_ends_evenly():
  stream = sampling.Stream(0, sampling.SOURCE, sampling.CROP)
  draw = tf.function(lambda k: sampling.uniform_int(stream.uniform(k), 3))
  counts = np.bincount(
    [int(draw(tf.constant(k, tf.int64))) for k in range(300)]
  )
  # 100 each, standard deviation 8.
  assert counts.shape == (3,) and counts.min() > 70


def test_streams_are_independent():
  names = [
    (seed, domain, purpose)
    for seed in (0, 1)
    for domain in (sampling.SOURCE, sampling.TARGET)
    for purpose in (sampling.CROP, sampling.FLIP)
  ]
  draws = np.array(
    [
      [
        sampling.Stream(*name).uniform(tf.constant(k, tf.int64))
        for k in range(60)
      ]
      for name in names
    ]
  )
  correlation = np.corrcoef(draws) - np.eye(len(names))
  # Standard deviation 0.13; the largest of 28 is rarely above 3.5 of them.
  assert abs(correlation).max() < 0.46


@pytest.mark.parametrize('domain', ['gta', 'synthia'])
@pytest.mark.parametrize('temperature', [0.01, 0.1, 0.5])
def test_class_probabilities_of_the_released_code(domain, temperature):
  expected = json.loads((_TOOLS / 'rcs_expected.json').read_text())[domain]
  expected = expected[str(temperature)]
  stats = json.loads((_TOOLS / domain / 'sample_class_stats.json').read_text())
  counts = np.zeros((len(stats), 19), np.int64)
  for row, image in zip(counts, stats):
    for class_id in set(image) - {'file'}:
      row[int(class_id)] = image[class_id]
  tables = sampling.rare_classes(counts, temperature=temperature, min_pixels=0)
  assert tables.classes.tolist() == expected['classes']
  np.testing.assert_allclose(tables.probability, expected['prob'], atol=2e-6)


def test_rare_class_draws():
  counts = np.array([[90, 0, 10], [90, 0, 0], [70, 0, 0], [60, 0, 12]])
  tables = sampling.rare_classes(counts, temperature=0.5, min_pixels=10)
  assert tables.classes.tolist() == [2, 0]
  assert tables.files[0, :1].tolist() == [3] and tables.lengths.tolist() == [
    1,
    4,
  ]
  draw = tf.function(
    lambda k: sampling.rare_index(0, sampling.SOURCE, k, tables)
  )
  drawn = [tuple(map(int, draw(tf.constant(k, tf.int64)))) for k in range(300)]
  assert {d for d in drawn if d[1] == 2} == {(3, 2)}
  assert {d[0] for d in drawn if d[1] == 0} == {0, 1, 2, 3}
  share = np.mean([d[1] == 2 for d in drawn])
  # Standard deviation 0.025.
  assert abs(share - tables.probability[0]) < 0.1


def test_rare_classes_without_an_image_are_an_error():
  counts = np.array([[90, 10], [90, 8]])
  with pytest.raises(ValueError, match=r'min_pixels < 10 every'):
    sampling.rare_classes(counts, temperature=0.1, min_pixels=3000)


def test_a_share_in_the_place_of_a_number_of_pixels():
  counts = np.array([[10, 90], [300, 700], [0, 0]])
  tables = sampling.rare_classes(counts, temperature=0.5, min_pixels=0.2)
  assert tables.classes.tolist() == [0, 1]
  assert tables.files[0, : tables.lengths[0]].tolist() == [1]
  assert tables.files[1, : tables.lengths[1]].tolist() == [0, 1]
  with pytest.raises(ValueError, match='min_pixels < 0.3 every'):
    sampling.rare_classes(counts, temperature=0.5, min_pixels=0.4)
  data = manifest.Manifest(
    '',
    ('a',),
    ('b',),
    np.array([20]),
    np.array([30]),
    np.array([[150, 450]]),
    ('x', 'y'),
    (),
  )
  config = tiny_folder.data(
    crop_size=(10, 20),
    rare_class=dict(temperature=0.5, min_pixels=0.2, min_crop_ratio=0.5),
  )
  assert domains_lib.domains(config, data, data)[0].rare_pixels == 20
  config.crop_size = (0, 0)
  assert domains_lib.domains(config, data, data)[0].rare_pixels == 60
