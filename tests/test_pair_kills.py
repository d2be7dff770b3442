"""Two training processes of one run, of which one is killed.

The other one names it and ends; both start again and end with the same bits.
"""

import os
import random
import re
import socket
import time

import numpy as np
import pytest

from tests import forked
from tests import last_state
from tests import slow_main
from tests import tiny_config
from uda_jax import parallel
from uda_jax.runs import lock
from uda_jax.train import loop

# `make reliability` asks for more kills, and gets a longer run for them.
KILLS = max(int(os.environ.get('KILLS', '2')), 2)
STEPS = 16 * KILLS
# Seconds without a sign of life after which a process counts as dead.
HEARTBEAT = 2.0


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
  """Rendered scenes, shared by the runs."""
  return tmp_path_factory.mktemp('pair')


def _flags(shared, workdir):
  return [
    '--config=tests/tiny_config.py',
    f'--workdir={workdir}',
    f'--config.data.cache_dir={shared / "data"}',
    f'--config.steps={STEPS}',
    '--config.batch.groups=2',
    '--config.checkpoint.every=4',
    '--config.log.panels_every=0',
    f'--config.parallel.heartbeat_seconds={HEARTBEAT}',
  ]


def _start(shared, workdir):
  """Starts both processes, as launch/local_processes.sh does."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    address = f'--coordinator=localhost:{free.getsockname()[1]}'
  flags = [*_flags(shared, workdir), address, '--num_processes=2']
  return [
    forked.Forked(slow_main.main, [*flags, f'--process_id={number}'])
    for number in range(2)
  ]


def _half_written(workdir):
  return list((workdir / 'checkpoints').glob('*tmp*'))


def _checkpoints(workdir):
  """Returns the steps of the checkpoints that are whole."""
  return {
    path.name
    for path in (workdir / 'checkpoints').glob('[0-9]*')
    if path.name.isdigit()
  }


def _kill(both, workdir, victim, seconds, in_a_save):
  """Kills a process while the run trains; returns whether it did.

  Args:
    both: the processes.
    workdir: of the run.
    victim: which of them.
    seconds: to wait after the first checkpoint of this start.
    in_a_save: whether to wait for another save, too.
  """
  for line in both[1 - victim].stdout:
    if line.startswith(slow_main.KNOWN):
      break
  else:
    return False  # all steps are done
  before = _checkpoints(workdir)

  def arrives(condition):
    while not condition():
      time.sleep(0.01)
      if both[0].returncode is not None:
        return False
    return True

  # A save of its own for each kill, so that the next start resumes.
  if not arrives(lambda: _checkpoints(workdir) != before):
    return False
  time.sleep(seconds)
  if in_a_save and not arrives(lambda: _half_written(workdir)):
    return False
  both[victim].kill()
  return True


@pytest.fixture(scope='module')
def undisturbed(shared):
  """The directory of a run of two processes from start to end."""
  workdir = shared / 'undisturbed'
  _assert_done(_start(shared, workdir))
  return workdir


def test_two_processes_give_the_one_process_result(shared, undisturbed):
  config = tiny_config.get_config()
  config.devices = 1
  config.batch.groups = 2
  config.steps = STEPS
  config.checkpoint.every = 1000
  config.data.cache_dir = str(shared / 'data')
  config.log.panels_every = 0
  loop.run(config, shared / 'one', progress=False)
  one, two = (
    last_state.read(workdir)[1] for workdir in (shared / 'one', undisturbed)
  )
  for name, value in one.items():
    if name.startswith("['student']"):
      np.testing.assert_allclose(
        two[name], value, rtol=1e-3, atol=5e-5, err_msg=name
      )


def test_a_directory_in_use_ends_both_at_once(shared, tmp_path):
  with lock.Lock(tmp_path):
    both = _start(shared, tmp_path)
    found = [process.communicate(timeout=120) for process in both]
  assert [process.returncode for process in both] == [1, 1], found
  for output in found:
    assert re.search(r'error: process 0 of 2 .*is in use by process', output)


def test_kills_of_one_of_two_processes(shared, undisturbed):
  workdir, draw = shared / 'killed', random.Random(0)
  kills = 0
  for number in range(KILLS):
    # Process 0 writes most of a checkpoint, so it dies in every second save.
    in_a_save = number % 2 == 1
    victim = 0 if in_a_save and number % 4 == 1 else 1
    both = _start(shared, workdir)
    if not _kill(both, workdir, victim, draw.uniform(0.0, 1.0), in_a_save):
      _assert_done(both)
      continue
    kills += 1
    other = both[1 - victim]
    output = other.communicate(240)
    assert other.returncode == parallel.EXIT_PEER, output
    assert 'Traceback' not in output
    [line] = [line for line in output.splitlines() if 'error' in line]
    assert f'process {victim} of 2 (pid {both[victim].pid} on ' in line
    assert re.search(r'died or hangs after step \d+: no sign of life', line)
    assert victim or not in_a_save or _half_written(workdir)
  print(f'{kills} kills, every second in a save')
  # The others came when all steps were done.
  assert 2 * kills > KILLS
  both = _start(shared, workdir)
  assert 'resumed at step' in _assert_done(both)
  last_state.assert_same(workdir, undisturbed)


def _assert_done(both):
  """Waits for both processes; returns what the first one printed."""
  outputs = [process.communicate() for process in both]
  assert [process.returncode for process in both] == [0, 0], outputs
  return outputs[0]
