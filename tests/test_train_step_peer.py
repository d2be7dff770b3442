"""The comparison with a peer: turns, ratio, and what is stored."""

import json
import sys

import pytest

from benchmarks import train_step_peer


@pytest.fixture(name='peer')
def _peer(tmp_path):
  """A program that prints its arguments, and the line of a peer."""
  path = tmp_path / 'peer.py'
  path.write_text(
    'import json, sys\n'
    'print(sys.argv[1:])\n'
    'print(json.dumps(dict(seconds_per_step=3.0, framework="other 1")))\n'
  )
  return (sys.executable, str(path))


@pytest.fixture(name='stored')
def _stored(tmp_path, monkeypatch):
  """Ours takes 2 seconds; the results go to another file."""
  real, path = train_step_peer.last_line, tmp_path / 'train_step.json'
  line = dict(seconds_per_step=2.0, framework='jax 1')
  monkeypatch.setattr(
    train_step_peer,
    'last_line',
    lambda command: (
      line if 'benchmarks.train_step' in command else real(command)
    ),
  )
  monkeypatch.setattr(train_step_peer, 'RESULT', path)
  return path


def test_the_ratio_is_the_peers_time_over_ours(peer, stored):
  train_step_peer.main(
    [f'--peer={" ".join(peer)}', '--only=mit_b0', '--rounds=2']
  )
  (row,) = json.loads(stored.read_text())
  assert (row['ours'], row['peer'], row['ratio']) == ([2, 2], [3, 3], 1.5)
  assert row['versions'] == ['jax 1', 'other 1']


def test_a_case_that_the_peer_does_not_know_is_measured_alone(peer, stored):
  for _ in range(2):  # the second row takes the place of the first
    train_step_peer.main([f'--peer={" ".join(peer)}', '--only=lite0'])
  (row,) = json.loads(stored.read_text())
  assert (row['peer'], row['ratio']) == ([], None)


def test_names_an_unknown_case(stored):
  with pytest.raises(SystemExit, match='mit_b9'):
    train_step_peer.main(['--only=mit_b9'])
  assert not stored.exists()
