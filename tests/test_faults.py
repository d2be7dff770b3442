"""Stops at random moments, and long runs; longer by `make reliability`."""

import os
import pathlib
import random
import shutil
import signal
import threading
import time

import pytest

from tests import last_state
from tests import lse_config
from tests import tiny_config
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
  config = tiny_config.get_config()
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


class _Timer:
  """Sends SIGTERM some time after the first step of a run has begun.

  Before, it is obeyed between preparation and compiling, which may take longer
  than `_IN_TIME`.
  """

  def __init__(self, seconds: float | None):
    self.begin = self.sent = 0.0
    self._timer = threading.Timer(seconds or 0.0, self._send)
    self._armed = seconds is not None

  def __enter__(self):
    # For a signal that comes when the run is done.
    self._outer = interrupts.Interrupts()
    self._outer.__enter__().hold()
    self._hold, interrupts.Interrupts.hold = (
      interrupts.Interrupts.hold,
      self._at,
    )
    return self

  def __exit__(self, *_):
    interrupts.Interrupts.hold = self._hold
    self._timer.cancel()
    if self._timer.is_alive():
      self._timer.join()
    self._outer.__exit__()

  @property
  def _at(self):
    def hold(handler):
      self._hold(handler)
      if not self.begin:
        self.begin = time.monotonic()
        if self._armed:
          self._timer.start()

    return hold

  def _send(self):
    self.sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
  'make', [_evaluating, lse_config.get_config][: 1 + (SIGTERMS > 1)]
)
def test_sigterm_at_random_moments(make, shared, tmp_path):
  whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
  for workdir in (whole, stopped):  # the second has compiled programs
    with _Timer(None) as timer:
      _run(make(), workdir, shared)
  seconds = time.monotonic() - timer.begin
  shutil.rmtree(stopped)
  draw, saved = random.Random(0), 0
  for _ in range(SIGTERMS):
    with _Timer(draw.uniform(0, seconds)) as timer:
      try:
        _run(make(), stopped, shared)
      except interrupts.Preempted as error:
        assert time.monotonic() - timer.sent < _IN_TIME
        saved += 'saved' in str(error)
        continue
    # It was resumed to its end; the next run starts from nothing.
    last_state.assert_same(stopped, whole)
    shutil.rmtree(stopped)
  _run(make(), stopped, shared)
  print(f'{SIGTERMS} signals, {saved} of them before the end of a run')
  last_state.assert_same(stopped, whole)


def test_a_long_run_keeps_its_memory_files_and_threads(
  shared, tmp_path, monkeypatch
):
  """Compares the middle of a run with its end."""
  config = tiny_config.get_config()
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
  """Returns the memory of this process in MiB, its open files and threads.

  Files and threads are the fewest of a second: a save in the background has
  a dozen files open while it writes.
  """
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  counts = []
  for _ in range(20):
    time.sleep(0.05)
    folders = (pathlib.Path('/proc/self') / name for name in ('fd', 'task'))
    counts.append([len(list(folder.iterdir())) for folder in folders])
  files, threads = map(min, zip(*counts))
  return pages * os.sysconf('SC_PAGE_SIZE') / 2**20, files, threads
