"""Every leaf can be built, locked and overridden."""

import importlib
import pathlib

import pytest

from benchmarks import ablations
from uda_jax import methods
from uda_jax import models

CONFIGS = pathlib.Path(__file__).parents[1] / 'configs'
LEAVES = sorted(
  path
  for path in CONFIGS.glob('*/*.py')
  if path.stem not in ('__init__', 'base')
)


def _config(path):
  name = f'configs.{path.parent.name}.{path.stem}'
  return importlib.import_module(name).get_config()


@pytest.mark.parametrize(
  'path', LEAVES, ids=lambda p: f'{p.parent.name}/{p.stem}'
)
def test_leaf(path):
  config = _config(path)
  config.lock()
  num_classes = len(config.data.source.get('class_names', range(11)))
  assert methods.make(config.method, num_classes).loss
  assert config.model.name in models.MODELS
  assert config.teacher.use or config.eval.network == 'student'
  with pytest.raises(AttributeError):
    config.no_such_field = 1
  assert f'configs/{path.parent.name}/{path.stem}.py' in path.read_text()


def test_two_calls_give_two_configs():
  first, second = _config(LEAVES[0]), _config(LEAVES[0])
  first.data.source.name = 'changed'
  assert second.data.source.name != 'changed'


def test_only_the_oracle_reads_target_labels():
  for path in LEAVES:
    config = _config(path)
    same = config.data.source.to_dict() == config.data.target.to_dict()
    assert same == (path.stem == 'oracle'), path


@pytest.mark.parametrize('method', ablations.ROWS)
def test_the_rows_of_ablations(method):
  rows = ablations.rows('streets', method)
  assert len(rows) == len(ablations.ROWS[method])
  assert 0 < len(ablations.rows('camvid_to_idd', method)) <= len(rows)
  for _, leaf, changes in rows:
    config = _config(CONFIGS / 'streets' / f'{leaf}.py')
    before = config.to_json()
    config.update_from_flattened_dict(changes)
    assert (config.to_json() != before) == bool(changes)
    assert methods.make(config.method, 11).loss


def test_ablations_of_what_there_is_not():
  with pytest.raises(ValueError, match="--methods: expected some of .*'pipe'"):
    ablations.rows('streets', 'pipe')
  with pytest.raises(ValueError, match="--benchmark: expected .*'street'"):
    ablations.rows('street', 'pipa')
