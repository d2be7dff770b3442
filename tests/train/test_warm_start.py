"""Starts from another run: preprocessing, classes, labels it has seen."""

import json

import jax
import numpy as np
import pytest

from tests import small_config
from uda_jax import models
from uda_jax.configs.blocks import convnets
from uda_jax.models import preprocessing
from uda_jax.models import weights
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance
from uda_jax.train import warm_start

NAMES = ('road', 'sky', 'car')
SIZE = (32, 48)


def _manifest(workdir, config, **facts):
  classes = {'names': NAMES, 'palette': ((0, 0, 0),) * len(NAMES)}
  provenance.run_manifest(workdir, config, {'classes': classes} | facts)


def _init(config, num_classes, seed):
  network = models.build(config, num_classes)
  shapes = jax.eval_shape(
    lambda key: network.init(key, SIZE), jax.random.key(0)
  )
  random = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jax.device_put(random.normal(size=x.shape).astype(x.dtype)),
    shapes,
  )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The directory of a finished run, and its best network."""
  workdir = tmp_path_factory.mktemp('run')
  config = small_config.get_config()
  variables = _init(config, len(NAMES), 0)
  _manifest(workdir, config, weights={'declared': {'trained_on': 'ImageNet'}})
  with checkpoint.Checkpoints(workdir, every_steps=1) as saved:
    saved.save_best(1, variables, {'value': 0.5})
  return workdir, variables


def _config(workdir, **model):
  config = small_config.get_config()
  config.warm_start.update(workdir=str(workdir), network='best')
  config.model.update(model)
  return config


def test_the_other_runs_network_is_loaded(run):
  workdir, variables = run
  config = _config(workdir)
  loaded = warm_start.load(
    config, len(NAMES), _init(config, len(NAMES), 1), SIZE
  )
  jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_other_classes_need_a_new_classifier(run):
  workdir, variables = run
  fresh = _init(_config(workdir), 5, 1)
  with pytest.raises(ValueError, match='config.model.new_classifier=True') as e:
    warm_start.load(_config(workdir), 5, fresh, SIZE)
  assert '\n' not in str(e.value)
  config = _config(workdir, new_classifier=True)
  loaded = warm_start.load(config, 5, fresh, SIZE)
  assert jax.tree.structure(loaded) == jax.tree.structure(fresh)
  for name, x in models.export(config, loaded).items():
    own = name.startswith('classifier.')
    expected = models.export(config, fresh if own else variables)[name]
    np.testing.assert_array_equal(x, expected)


def test_classes_in_another_order_are_refused(run, caplog):
  workdir, _ = run
  config, other = _config(workdir), ('road', 'car', 'sky')
  warm_start.check_classes(config, NAMES)
  with pytest.raises(
    ValueError,
    match=r"warm_start.workdir: .* 'car' as number 2 in .* as number 1 here",
  ) as error:
    warm_start.check_classes(config, other)
  assert '\n' not in str(error.value)
  warm_start.check_classes(config, ('road', 'heaven', 'car'))
  assert "'heaven' is 'sky' there" in caplog.text
  warm_start.check_classes(_config(workdir, new_classifier=True), other)
  # A file, whose declaration has them.
  config = small_config.get_config()
  origin = weights.Provenance(
    'a.safetensors', '', 1, '', declared={'classes': list(NAMES)}
  )
  warm_start.check_classes(config, NAMES, origin)
  with pytest.raises(ValueError, match='model.weights: .*a.safetensors'):
    warm_start.check_classes(config, other, origin)


def test_another_network_is_one_line(tmp_path):
  other = small_config.get_config()
  other.model = convnets.fcn8s_vgg()
  _manifest(tmp_path, other, weights=None)
  with pytest.raises(
    ValueError,
    match='config.warm_start.workdir: .* is a run of another network, '
    'fcn8s_vgg; config.model.name is compact$',
  ):
    warm_start.load(_config(tmp_path), len(NAMES), None, SIZE)


def test_another_preprocessing_is_one_line(tmp_path):
  other = small_config.get_config()
  other.model = convnets.deeplab_v2()
  _manifest(tmp_path, other)
  config = _config(tmp_path)
  config.model = convnets.deeplab_v2()
  config.model.resnet = 'torchvision'
  with pytest.raises(
    ValueError,
    match='config.warm_start.workdir: .* trained on CAFFE pixels, the network '
    'of this config takes IMAGENET pixels; set config.model.resnet',
  ) as error:
    warm_start.load(config, 3, None, SIZE)
  assert '\n' not in str(error.value)
  assert {'CAFFE', 'IMAGENET'} <= set(dir(preprocessing))


def test_labels_of_the_target_are_passed_on(run, tmp_path):
  oracle = small_config.get_config()
  oracle.data.source = oracle.data.target.copy_and_resolve_references()
  _manifest(tmp_path / 'oracle', oracle)
  config = _config(tmp_path / 'oracle')
  with pytest.raises(ValueError, match='oracle: these weights saw labels'):
    warm_start.load(config, 3, None, SIZE)
  facts = warm_start.declared(config)
  assert facts['saw_target_labels'] is True
  # A run that starts from it hands it on.
  _manifest(tmp_path / 'next', config, warm_start=facts, weights=None)
  last = warm_start.declared(_config(tmp_path / 'next'))
  assert last['saw_target_labels'] is True
  assert last['trained_on'].startswith(f'{facts["trained_on"]}; ')
  # One without such labels says what it started from.
  facts = warm_start.declared(_config(run[0]))
  assert facts['saw_target_labels'] is False
  assert facts['trained_on'].startswith('ImageNet; ')
  assert facts['preprocessing'] == 'IMAGENET'


def test_allowed_labels_of_the_target(run, tmp_path):
  workdir, variables = run
  path = workdir / 'manifest.json'
  before = path.read_text()
  manifest = json.loads(before)
  manifest['config']['data']['source'] = manifest['config']['data']['target']
  path.write_text(json.dumps(manifest))
  try:
    config = _config(workdir, allow_target_labels=True)
    loaded = warm_start.load(config, len(NAMES), _init(config, 3, 1), SIZE)
  finally:
    path.write_text(before)
  jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_a_directory_without_a_run_is_named(tmp_path):
  with pytest.raises(ValueError, match='config.warm_start.workdir: .*manifest'):
    warm_start.load(_config(tmp_path), 3, None, SIZE)


def test_no_warm_start_declares_nothing():
  assert warm_start.declared(small_config.get_config()) is None
