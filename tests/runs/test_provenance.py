"""manifest.json and results.json."""

import json
import os
import pathlib
import subprocess

import jax
import ml_collections
import pytest

from uda_jax.runs import provenance


def _config(**changes):
  config = ml_collections.ConfigDict(
    {
      'seed': 3,
      'steps': 10,
      'log': {'every': 5},
      'checkpoint': {'every': 5},
      'data': {'root': '/a', 'crop_size': (8, 16)},
      'method': {'name': 'pixmatch', 'threshold': 0.5},
    }
  )
  config.update_from_flattened_dict(changes)
  return config


def test_manifest_says_what_ran(tmp_path):
  provenance.run_manifest(
    tmp_path,
    _config(),
    {'weights': {'encoder': 'sha256:12'}, 'images': {'day': 400}},
  )
  manifest = json.loads((tmp_path / 'manifest.json').read_text())
  assert manifest['config']['data'] == {'root': '/a', 'crop_size': [8, 16]}
  (start,) = manifest['starts']
  assert start['packages']['jax'] == jax.__version__
  assert start['seed'] == 3 and start['images'] == {'day': 400}
  assert start['weights'] == {'encoder': 'sha256:12'}
  assert start['devices'] == {
    'platform': 'cpu',
    'kind': 'cpu',
    'count': 4,
    'processes': 1,
    'cpu_cores': len(os.sched_getaffinity(0)),
  }
  assert start['command'] and start['python'] and start['date'][:2] == '20'


def test_revision_is_the_projects_own():
  root = pathlib.Path(__file__).parents[2]
  result = subprocess.run(
    ['git', '-C', root, 'rev-parse', 'HEAD'], text=True, capture_output=True
  )
  if result.returncode == 0:
    assert provenance._git()['revision'] == result.stdout.strip()
  else:
    assert provenance._git() is None


def test_resume_keeps_the_first_config_and_adds_a_start(tmp_path):
  provenance.run_manifest(tmp_path, _config(), {})
  provenance.run_manifest(
    tmp_path, _config(**{'log.every': 7, 'data.root': '/b'}), {}
  )
  manifest = json.loads((tmp_path / 'manifest.json').read_text())
  assert manifest['config']['log']['every'] == 5
  assert [s['changed_fields'] for s in manifest['starts']] == [
    {},
    {'data.root': '/b', 'log.every': 7},
  ]


def test_a_machine_with_other_cores_is_told(tmp_path, monkeypatch, caplog):
  provenance.run_manifest(tmp_path, _config(), {})
  provenance.run_manifest(tmp_path, _config(), {})
  assert 'last bit' not in caplog.text
  monkeypatch.setattr(os, 'sched_getaffinity', lambda process: range(99))
  provenance.run_manifest(tmp_path, _config(), {})
  assert "'cpu_cores': 99" in caplog.text and 'last bit' in caplog.text


def test_another_config_is_an_error_that_names_the_fields(tmp_path):
  provenance.run_manifest(tmp_path, _config(), {})
  before = (tmp_path / 'manifest.json').read_bytes()
  other = _config(**{'method.threshold': 0.6, 'log.every': 9, 'steps': 20})
  with pytest.raises(ValueError) as error:
    provenance.run_manifest(tmp_path, other, {})
  message = str(error.value)
  assert 'config.method.threshold: expected 0.5' in message
  assert 'got 0.6' in message and 'config.steps' in message
  assert 'log.every' not in message and 'new --workdir' in message
  assert (tmp_path / 'manifest.json').read_bytes() == before


@pytest.mark.parametrize('content', ['{"config": ', '[]', '{"a": 1}'])
def test_a_broken_manifest_is_named(tmp_path, content):
  (tmp_path / 'manifest.json').write_text(content)
  with pytest.raises(ValueError, match=r'manifest\.json.*--workdir'):
    provenance.run_manifest(tmp_path, _config(), {})
