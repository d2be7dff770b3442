"""The comparison with a peer: turns, and ratio."""

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


@pytest.fixture(autouse=True)
def _ours(monkeypatch):
  """Ours takes 2 seconds."""
  real = train_step_peer.last_line
  line = dict(seconds_per_step=2.0, framework='jax 1')
  monkeypatch.setattr(
    train_step_peer,
    'last_line',
    lambda command: (
      line if 'benchmarks.train_step' in command else real(command)
    ),
  )


def test_the_ratio_is_the_peers_time_over_ours(peer, capsys):
  train_step_peer.main(
    [f'--peer={" ".join(peer)}', '--only=mit_b0', '--rounds=2']
  )
  row = json.loads(capsys.readouterr().out)
  assert (row['ours'], row['peer'], row['ratio']) == ([2, 2], [3, 3], 1.5)
  assert row['versions'] == ['jax 1', 'other 1']


def test_a_case_that_the_peer_does_not_know_is_measured_alone(peer, capsys):
  train_step_peer.main([f'--peer={" ".join(peer)}', '--only=lite0'])
  row = json.loads(capsys.readouterr().out)
  assert (row['peer'], row['ratio']) == ([], None)


def test_names_an_unknown_case():
  with pytest.raises(SystemExit, match='mit_b9'):
    train_step_peer.main(['--only=mit_b9'])
