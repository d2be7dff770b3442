"""Stops at random moments, and long runs; longer by `make reliability`."""

import os
import pathlib
import random
import signal
import threading
import time

import pytest

from tests import last_state
from tests import lse_leaf
from tests import tiny_leaf
from uda_jax.train import interrupts
from uda_jax.train import loop

# `make reliability` asks for more.
SIGTERMS = int(os.environ.get('SIGTERMS', '1'))
STEPS = int(os.environ.get('STEPS', '40'))
# Seconds from a signal to the end of the run, with the state saved: a step, a
# batch of an evaluation or the preparation of the data lies between.
_IN_TIME = 20.0


def _evaluating():
  """A run that evaluates and saves every few steps."""
  config = tiny_leaf.get_config()
  config.eval.update(every=4, batch_size=2)
  config.checkpoint.every = 2
  config.steps = 12
  return config


def _run(config, workdir, shared):
  config.devices = 1
  config.data.cache_dir = str(shared / 'data')
  config.log.panels_every = 0
  return loop.run(config, workdir, progress=False)


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
  """Rendered scenes, shared by the runs."""
  return tmp_path_factory.mktemp('shared')


def _send(times: list[float]) -> None:
  times.append(time.monotonic())
  os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize('make', [_evaluating, lse_leaf.get_config])
def test_sigterm_at_random_moments(make, shared, tmp_path):
  whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
  start = time.monotonic()
  _run(make(), whole, shared)
  seconds = time.monotonic() - start
  draw, saved = random.Random(0), 0
  for _ in range(SIGTERMS):
    sent = []
    timer = threading.Timer(draw.uniform(0, seconds), _send, [sent])
    # The test's own handling of a signal that comes after the end of the run.
    with interrupts.Interrupts() as outer:
      outer.hold()
      timer.start()
      try:
        _run(make(), stopped, shared)
      except interrupts.Preempted as error:
        assert time.monotonic() - sent[0] < _IN_TIME
        saved += 'saved' in str(error)
      timer.cancel()
      timer.join()
  _run(make(), stopped, shared)
  # Signals that come before the first step find nothing to save.
  assert saved or SIGTERMS < 10
  print(f'{SIGTERMS} signals, {saved} of them with steps to save')
  last_state.assert_same(stopped, whole)


def test_a_long_run_keeps_its_memory_files_and_threads(
  shared, tmp_path, monkeypatch
):
  """Compares the middle of a run with its end."""
  config = tiny_leaf.get_config()
  config.steps = STEPS
  config.checkpoint.every = max(STEPS // 40, 1)
  config.eval.every = max(STEPS // 20, 1)
  config.eval.batch_size = 4
  seen = []
  after_step = loop._after_step

  def watched(parts, state, metrics, step):
    result = after_step(parts, state, metrics, step)
    if step in (STEPS // 2, STEPS - 1):
      seen.append(_resources())
    return result

  monkeypatch.setattr(loop, '_after_step', watched)
  _run(config, tmp_path / 'run', shared)
  (memory, files, threads), (memory_end, files_end, threads_end) = seen
  print(f'MiB, files, threads after half and all of {STEPS} steps: {seen}')
  assert memory_end - memory < 20 + 0.01 * STEPS
  assert files_end - files < 10 and threads_end - threads < 10


def _resources() -> tuple[float, int, int]:
  """Returns the memory of this process in MiB, its open files and threads."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  files = len(list(pathlib.Path('/proc/self/fd').iterdir()))
  threads = len(list(pathlib.Path('/proc/self/task').iterdir()))
  return pages * os.sysconf('SC_PAGE_SIZE') / 2**20, files, threads
