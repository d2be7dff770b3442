"""Deaths, hangs and failures of one of three processes: what the others do."""

import signal
import socket
import time

import pytest

from tests import forked
from tests import heartbeats
from uda_jax import parallel
from uda_jax.train import peers


def _errors(output):
  """Returns the lines of a process that are no steps."""
  lines = output.splitlines()
  return [x for x in lines if not x.isdecimal() and 'Gloo' not in x]


@pytest.fixture
def start():
  """A function that starts three processes and waits for their steps."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{free.getsockname()[1]}'
  started = []

  def make(fails_at=-1):
    for number in range(3):
      started.append(forked.Forked(heartbeats.main, address, number, fails_at))
    for process in started:
      # Steps are known to the others by now.
      while process.stdout.readline() not in ('12\n', ''):
        pass
    return started

  yield make
  for process in started:
    process.kill()


@pytest.mark.parametrize(
  ('victim', 'number'),
  [(0, signal.SIGKILL), (1, signal.SIGKILL), (0, signal.SIGSTOP)],
)
def test_a_process_that_dies_or_hangs_is_named_by_all(start, victim, number):
  processes = start()
  processes[victim].send_signal(number)
  begin = time.monotonic()
  for other in {0, 1, 2} - {victim}:
    error = processes[other].communicate(timeout=60)
    assert processes[other].returncode == parallel.EXIT_PEER, error
    [line] = _errors(error)
    assert f'process {victim} of 3 (pid {processes[victim].pid} on ' in line
    assert 'died or hangs after step' in line
    assert 'no sign of life for 2 s' in line
  assert time.monotonic() - begin < 30


def test_a_process_that_fails_ends_the_others_with_its_message(start):
  processes = start(fails_at=20)
  for process in processes:
    error = process.communicate(timeout=60)
    assert process.returncode == 1, error
    [line] = _errors(error)
    assert line.startswith('error: process 1 of 3 (')
    assert line.endswith('failed after step 20: a.png: expected an image')


def test_a_broken_collective_is_known_from_what_it_causes():
  """A process whose save broke must end with 76, not as on a full disk."""
  broke = ValueError(
    'UNKNOWN: Gloo AllGather failed: Connection closed by peer'
  )
  error = OSError('a checkpoint cannot be written')
  error.__cause__ = broke
  assert peers._broken(broke) and peers._broken(error)
  assert not peers._broken(OSError('a checkpoint cannot be written: disk full'))
