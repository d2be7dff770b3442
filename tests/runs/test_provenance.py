"""manifest.json and results.json."""

import json
import os
import pathlib
import re
import subprocess

import jax
import ml_collections
import numpy as np
import pytest

from tests import small_config
from uda_jax.data import manifest as manifest_lib
from uda_jax.runs import provenance
from uda_jax.runs import restore
from uda_jax.runs import resume


def _config(**changes):
  config = ml_collections.ConfigDict(
    {
      'seed': 3,
      'steps': 10,
      'log': {'every': 5},
      'checkpoint': {'every': 5},
      'eval': {'every': 0},
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
    assert provenance.revision()['revision'] == result.stdout.strip()
  else:
    assert provenance.revision() is None


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
  other = _config(**{'method.threshold': 0.6, 'log.every': 9, 'steps': 8})
  with pytest.raises(ValueError) as error:
    provenance.run_manifest(tmp_path, other, {})
  message = str(error.value)
  assert 'config.method.threshold: expected 0.5' in message
  assert 'got 0.6' in message and 'config.steps: expected 10 or more' in message
  assert 'log.every' not in message and 'new --workdir' in message
  assert (tmp_path / 'manifest.json').read_bytes() == before


def test_a_refusal_says_that_a_run_has_saved_nothing(tmp_path):
  provenance.run_manifest(tmp_path, _config(), {})
  other = _config(**{'method.threshold': 0.6})
  empty = f'of that run; {tmp_path} holds no checkpoint'
  with pytest.raises(ValueError, match=re.escape(empty)):
    provenance.check_resumable(tmp_path, other)
  (tmp_path / 'checkpoints' / '12').mkdir(parents=True)
  with pytest.raises(ValueError, match='or the config of that run$'):
    provenance.check_resumable(tmp_path, other)


def test_a_run_may_get_longer_and_be_evaluated_otherwise(tmp_path, caplog):
  provenance.run_manifest(tmp_path, _config(), {})
  longer = _config(**{'steps': 24, 'checkpoint.every': 7, 'eval.every': 3})
  provenance.check_resumable(tmp_path, longer)
  provenance.run_manifest(tmp_path, longer, {})
  assert 'from 10 to 24 steps' in caplog.text
  provenance.run_manifest(tmp_path, longer, {})
  assert caplog.text.count('from 10 to 24 steps') == 1
  manifest = json.loads((tmp_path / 'manifest.json').read_text())
  changed = {'checkpoint.every': 7, 'eval.every': 3, 'steps': 24}
  assert [s['changed_fields'] for s in manifest['starts'][1:]] == [changed] * 2
  # Not back to the length of the first start.
  with pytest.raises(ValueError, match='steps: expected 24 or more') as error:
    provenance.check_resumable(tmp_path, _config())
  # As the page that it names says.
  assert 'docs/reliability.md' in str(error.value)
  del manifest['starts'][1:]
  (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
  provenance.check_resumable(tmp_path, _config())


def test_data_sets_may_be_moved(tmp_path):
  def config(root, images='a'):
    found = _config()
    found.data.source = {'root': root, 'images': images}
    return found

  provenance.run_manifest(tmp_path, config('/a'), {})
  provenance.check_resumable(tmp_path, config('/b'))
  other = config('/b', 'b')
  with pytest.raises(ValueError, match='expected .a. as at the first') as error:
    provenance.check_resumable(tmp_path, other)
  assert 'source.root' not in str(error.value)


def test_a_network_is_read_with_the_config_of_the_last_start(tmp_path):
  classes = {'classes': {'names': ('a', 'b'), 'palette': ((0, 0, 0),) * 2}}
  config = small_config.get_config()
  provenance.run_manifest(tmp_path, config, classes)
  config.steps += 8
  config.data.eval_image_size = (16, 32)
  config.data.root = '/moved'
  config.checkpoint.best = 'entropy'
  config.eval.flip = True
  with config.unlocked():
    del config.log.seconds  # as a later version may
  provenance.run_manifest(tmp_path, config, classes)
  found = restore.read_manifest(tmp_path)['config']
  wanted = json.loads(config.to_json_best_effort())
  assert not resume.differences(wanted, found)
  assert 'seconds' not in found['log']


def test_a_run_in_rounds_keeps_its_length(tmp_path):
  rounds = {'rounds': {'p_start': 0.3}}
  config = ml_collections.ConfigDict(_config().to_dict() | rounds)
  provenance.run_manifest(tmp_path, config, {})
  config.steps = 20
  with pytest.raises(ValueError, match='config.steps: expected 10 as'):
    provenance.check_resumable(tmp_path, config)


def _data(**changes):
  data = manifest_lib.Manifest(
    'day',
    ('/a/0.png', '/a/1.png'),
    ('/a/0_label.png', '/a/1_label.png'),
    np.array([4, 4]),
    np.array([8, 8]),
    np.array([[16, 16], [0, 32]]),
    ('road', 'sky'),
    ((0, 0, 0), (1, 1, 1)),
    file_hashes=('03-0a', '03-0b'),
  )
  return {'data': {'source': resume.describe_data(data._replace(**changes))}}


@pytest.mark.parametrize(
  'changes, message',
  [
    (
      dict(
        image_paths=('/a/0.png',), heights=np.array([4]), widths=np.array([8])
      ),
      'source: 2 images before, 1 now',
    ),
    (
      dict(image_paths=('/a/0.png', '/a/2.png')),
      'source: other names of files than before',
    ),
    (dict(heights=np.array([4, 6])), 'source: other image sizes than before'),
    (
      dict(file_hashes=('03-0a', '04-0c')),
      'source: other contents of files than before',
    ),
    (
      dict(file_hashes=('03-', '04-')),  # in a bucket
      'source: other numbers of bytes of files than before',
    ),
    (
      dict(class_pixels=np.array([[16, 16], [1, 31]])),
      'source: other labels than before',
    ),
  ],
)
def test_other_data_is_refused_unless_allowed(
  changes, message, tmp_path, caplog
):
  provenance.run_manifest(tmp_path, _config(), {})  # of an earlier version
  provenance.run_manifest(tmp_path, _config(), _data())
  moved = _data(image_paths=('/b/0.png', '/b/1.png'))
  provenance.run_manifest(tmp_path, _config(), moved)
  with pytest.raises(ValueError, match=message) as error:
    provenance.run_manifest(tmp_path, _config(), _data(**changes))
  assert 'data.allow_changes=True' in str(error.value)
  allowed = ml_collections.ConfigDict(_config().to_dict())
  allowed.data.allow_changes = True
  manifest = provenance.run_manifest(tmp_path, allowed, _data(**changes))
  assert manifest['starts'][-1]['changed_data'] == [message]
  assert message in caplog.text
  # From now on these are the data.
  provenance.run_manifest(tmp_path, _config(), _data(**changes))


def test_data_may_move_into_a_bucket_and_back(tmp_path):
  paths = lambda folder: tuple(f'{folder}/{i}.png' for i in range(2))
  bucket = _data(image_paths=paths('gs://b'), file_hashes=('03-', '03-'))
  for data in (_data(), bucket, bucket, _data()):
    provenance.run_manifest(tmp_path, _config(), data)


@pytest.mark.parametrize('content', ['', '{"config": '])
def test_a_broken_manifest_beside_a_checkpoint(content, tmp_path):
  (tmp_path / 'manifest.json').write_text(content)
  (tmp_path / 'checkpoints' / '12').mkdir(parents=True)
  with pytest.raises(ValueError, match='remove it to resume from step 12'):
    provenance.check_resumable(tmp_path, _config())


@pytest.mark.parametrize('content', ['{"config": ', '[]', '{"a": 1}'])
def test_a_broken_manifest_is_named(tmp_path, content):
  (tmp_path / 'manifest.json').write_text(content)
  with pytest.raises(ValueError, match=r'manifest\.json.*--workdir'):
    provenance.run_manifest(tmp_path, _config(), {})
