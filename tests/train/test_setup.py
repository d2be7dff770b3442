"""Networks that a run starts from."""

import argparse

import jax
import ml_collections
import numpy as np
import pytest

from tests import small_config
from tests import tiny
from uda_jax import configs
from uda_jax import types
from uda_jax.train import data_sets
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import setup


def _config(*, weight_distance, weights):
  return ml_collections.ConfigDict(
    dict(
      seed=0,
      warm_start=dict(workdir='', network='student'),
      method=dict(weight_distance=weight_distance),
      model=dict(weights=weights),
    )
  )


def _start(config):
  return setup.start_networks(config, tiny.network(3), 3, (8, 8))


def test_the_pretrained_network_is_kept_for_a_feature_distance():
  student, frozen = _start(_config(weight_distance=0.1, weights='file'))
  jax.tree.map(np.testing.assert_array_equal, student, frozen)
  _, frozen = _start(_config(weight_distance=0.0, weights='file'))
  assert frozen is None


@pytest.mark.parametrize('uses_target', [True, False])
def test_target_images_are_read_for_a_method_that_uses_them(
  monkeypatch, uses_target
):
  read = []
  monkeypatch.setattr(
    setup.pipeline,
    'train_batches',
    lambda *args, read_target, **kwargs: read.append(read_target),
  )
  method = types.Method(lambda *args: None, uses_target=uses_target)
  run = setup.Run(
    small_config.get_config(),
    workdir=None,
    mesh=None,
    data=data_sets.Data(None, None, None),
    recipe=recipe_lib.Recipe(method, None, None, None),
  )
  setup.batches(run, 0)
  setup.batches(run, 0, read_target=True)
  assert read == [uses_target, True]


def test_what_begins_after_the_end_of_a_run_is_said():
  config = small_config.get_config()
  config.steps, config.schedule.warmup_steps = 20, 20
  late = types.Method(None, starts=(0, 20))
  warmup, part = setup._never_reached(config, late)
  assert 'config.schedule.warmup_steps=20' in warmup
  assert 'begins at step 20 and has no effect in the 20 steps' in part
  config.steps = 21
  assert not list(setup._never_reached(config, late))


def test_scored_images_whose_labels_are_learned_from_are_said():
  paths = lambda *names: argparse.Namespace(originals=names)
  data = data_sets.Data(paths('a', 'b'), paths('c'), paths('c', 'd'))
  assert not list(data_sets.seen_labels(data))
  [line] = data_sets.seen_labels(data._replace(target_labels=paths('c')))
  assert '1 of 2 images are those of config.data.target_labels' in line
  [line] = data_sets.seen_labels(data._replace(evaluation=paths('b', 'a')))
  assert '2 of 2 images are those of config.data.source' in line


def test_classes_without_labels_and_notes_on_files_are_said():
  def part(*pixels, notes=()):
    return argparse.Namespace(
      originals=(str(pixels),),
      class_names=('road', 'sky', 'car'),
      class_pixels=np.array([pixels]),
      labeled=any(pixels),
      notes=notes,
    )

  data = data_sets.Data(part(1, 0, 0), part(0, 0, 0), part(3, 1, 1))
  [line] = data_sets.oddities(data)
  assert line == (
    'config.data.source: no label shows sky, car, which are not learned'
  )
  data = data._replace(source=part(1, 1, 1), target=part(0, 0, 0, notes='ab'))
  [line] = data_sets.oddities(data)
  assert 'config.data.target: 2 note(s) on files, such as a;' in line


def test_a_run_whose_patches_determine_its_length_says_so():
  config = configs.load('gta5_to_cityscapes/lse')
  assert setup.describe(config) == (
    'lse, 2 epochs a round over its patches in steps of 1 image per domain, '
    'seed 0'
  )
