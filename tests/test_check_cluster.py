"""check_cluster: what it prints, and each thing that can be wrong."""

import json
import re
import socket

import pytest

from tests import cluster_pair
from tests import forked
from uda_jax import check_cluster
from uda_jax.train import cluster
from uda_jax.train import flags


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Where the data are rendered."""
  return tmp_path_factory.mktemp('cluster')


@pytest.fixture(scope='module')
def pair(folder):
  """What two processes found, by check."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    address = f'localhost:{free.getsockname()[1]}'
  processes = [
    forked.Forked(cluster_pair.main, address, i, folder) for i in range(2)
  ]
  outputs = [process.communicate() for process in processes]
  found = [
    dict(json.loads(line) for line in out.splitlines() if line.startswith('["'))
    for out in outputs
  ]
  assert [p.returncode for p in processes] == [0, 0], outputs
  assert found[0] == found[1]
  return found[0]


@pytest.mark.parametrize(
  ('check', 'expected'),
  [
    ('processes', [2, 2]),
    ('config', None),
    ('devices', None),
    ('sum', 2),
    ('clocks', True),
    ('data', [cluster_pair.NUM_IMAGES] * 3),
  ],
)
def test_what_is_well(pair, check, expected):
  assert pair[check] == expected


@pytest.mark.parametrize(
  ('check', 'message'),
  [
    (
      'other config',
      r'process 1 of 2 \(.*\): config.steps: expected 24 as in process 0, '
      'got 12',
    ),
    ('bad config', 'process 1 of 2 .*: config.steps: expected'),
    (
      'groups',
      'process 0 .* and 1 more: config.batch.groups: .* multiple of 2',
    ),
    ('one device', r'config.devices: expected 0 \(all devices\) with 2 pro'),
    ('unlike devices', "process 1 .* devices: expected '1 x cpu' .* '8 x cpu'"),
    ('no directory', 'process 1 .* --workdir: .* can be written, got .*file1'),
    ('own directory', 'process 0 .* --workdir: .* share, .* process 1 has wri'),
    ('other jax', 'process 1 .* version of jax: expected .* got .0.1'),
    ('slow clock', 'process 1 .* clock: .* is 60 s behind'),
    ('no data', 'process 1 .* config.data.cache_dir: .*/proc/none'),
    ('other data', 'process 1 .* config.data.target: .* expected 2 .* got 1'),
  ],
)
def test_what_is_wrong_is_named(pair, check, message):
  assert pair[check].startswith('wrong: process ')
  assert re.search(message, pair[check]), pair[check]


def test_nothing_stays_in_the_directory(pair, folder):
  for name in ('run', 'run0', 'run1'):
    assert list((folder / name).iterdir()) == []
  assert pair['workdir'] == str(folder / 'run')


@pytest.fixture
def connected(monkeypatch):
  """Connects nothing: devices are in use here."""
  monkeypatch.setattr(flags, 'connect', lambda args: None)


def _command(folder, *options):
  check_cluster.main(
    [
      '--config=tests/tiny_config.py',
      f'--workdir={folder / "alone"}',
      f'--config.data.cache_dir={folder / "data"}',
      *(f'--config.data.{part}.num_images=2' for part in ('source', 'target')),
      '--config.data.evaluation.num_images=2',
      *options,
    ]
  )


def test_one_process(folder, connected, capsys, monkeypatch):
  options = ('--memory', '--config.batch.groups=4')
  _command(folder, *options)
  output = capsys.readouterr().out
  for line in (
    r'^process +host',
    r'^0 .* 4 x cpu$',
    r'^clocks differ by 0.000 s$',
    r'^config: tests/tiny_config.py, the same',
    r'^batch: 4 groups divide over the devices$',
    r'^addition over 4 devices: [0-9.]+ ms$',
    r'^source: streets source_train, 2 images, read by all$',
    r'^memory: the step plans [0-9.e-]+ of [0-9.]+ GiB a device$',
    r'^all is well\n\Z',
  ):
    assert re.search(line, output, re.M), output
  monkeypatch.setattr(cluster, '_free', lambda: 4000)
  with pytest.raises(SystemExit) as error:
    _command(folder, *options)
  assert re.match(
    r'error: process 0 of 1 \(.*\): memory: expected at most 0.0 GiB a device',
    str(error.value),
  )


def test_a_mistake_is_one_line(folder, connected):
  with pytest.raises(SystemExit, match='error: process 0 .* config.batch.grou'):
    _command(folder, '--config.batch.groups=3')
