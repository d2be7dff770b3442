"""Deaths, hangs and failures of one of three processes: what the others do."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from uda_jax import parallel

ROOT = pathlib.Path(__file__).parents[2]
# Heartbeats without training: a process counts a step each 0.1 s.
_PROCESS = """
import sys, time
from uda_jax import parallel
from uda_jax.train import peers, relay
address, number = sys.argv[1], int(sys.argv[2])
parallel.start_processes(address, 3, number, through=relay.through)
with peers.Peers(2.0) as watched:
  for step in range(600):
    time.sleep(0.1)
    watched.step = step
    print(step, flush=True)
    if number == 1 and sys.argv[3] == f'fails {step}':
      raise ValueError('a.png: expected an image')
"""


@pytest.fixture
def start():
  """A function that starts three processes and waits for their steps."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{free.getsockname()[1]}'
  started = []

  def make(what='-'):
    for number in range(3):
      process = subprocess.Popen(
        [sys.executable, '-c', _PROCESS, address, str(number), what],
        cwd=ROOT,
        env=os.environ | {'JAX_NUM_CPU_DEVICES': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      started.append(process)
    for process in started:
      # Steps are known to the others by now.
      while process.stdout.readline() not in ('12\n', ''):
        pass
    return started

  yield make
  for process in started:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
  ('victim', 'number'),
  [(0, signal.SIGKILL), (1, signal.SIGKILL), (0, signal.SIGSTOP)],
)
def test_a_process_that_dies_or_hangs_is_named_by_all(start, victim, number):
  processes = start()
  processes[victim].send_signal(number)
  begin = time.monotonic()
  for other in {0, 1, 2} - {victim}:
    _, error = processes[other].communicate(timeout=60)
    assert processes[other].returncode == parallel.EXIT_PEER, error
    [line] = error.splitlines()
    assert f'process {victim} of 3 (pid {processes[victim].pid} on ' in line
    assert 'died or hangs after step' in line
    assert 'no sign of life for 2 s' in line
  assert time.monotonic() - begin < 30


def test_a_process_that_fails_ends_the_others_with_its_message(start):
  processes = start('fails 20')
  for process in processes:
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1, error
    [line] = error.splitlines()
    assert line.startswith('error: process 1 of 3 (')
    assert line.endswith('failed after step 20: a.png: expected an image')
