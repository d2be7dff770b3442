"""Tests of the handling of signals."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from uda_jax.train import interrupts

ROOT = pathlib.Path(__file__).parents[2]


def _send(number):
  os.kill(os.getpid(), number)


@pytest.mark.parametrize(
  'number, kind, code',
  [
    (signal.SIGTERM, interrupts.Preempted, 75),
    (signal.SIGHUP, interrupts.Preempted, 75),
    (signal.SIGINT, interrupts.Interrupted, 130),
  ],
)
def test_signals_wait_for_the_loop_to_ask(number, kind, code):
  before = signal.getsignal(number)
  with interrupts.Interrupts() as handler:
    handler.hold()
    handler.poll()
    _send(number)
    _send(number)  # twice at once, as a terminal that closes sends it
    with pytest.raises(interrupts.Stop):
      handler.poll()
    with pytest.raises(interrupts.Stop):
      handler.poll()  # never lost
    error = handler.error('stopped')
    assert isinstance(error, kind) and interrupts.exit_code(error) == code
  assert signal.getsignal(number) is before


@pytest.mark.parametrize(
  'number, kind',
  [
    (signal.SIGINT, interrupts.Interrupted),
    (signal.SIGTERM, interrupts.Preempted),
  ],
)
@pytest.mark.parametrize('point', ['check', 'hold'])
def test_before_there_is_something_to_save_a_signal_waits_for_a_point(
  number, kind, point
):
  """An exception in the middle of TensorFlow may leave a lock closed."""
  with interrupts.Interrupts() as handler:
    handler.check()
    _send(number)
    with pytest.raises(kind, match='before a step was done'):
      getattr(handler, point)()
  with interrupts.Interrupts() as handler:
    handler.hold()
    _send(number)
    handler.check()  # there are steps to save: `poll` obeys


def test_a_second_signal_ends_the_run(monkeypatch):
  with interrupts.Interrupts() as handler:
    handler.hold()
    _send(signal.SIGTERM)
    monkeypatch.setattr(interrupts, '_SECOND', 0.0)
    with pytest.raises(interrupts.Preempted, match='second signal .SIGHUP'):
      _send(signal.SIGHUP)
      pytest.fail('no interrupt')


def test_an_ignored_signal_stays_ignored():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    with interrupts.Interrupts() as handler:
      _send(signal.SIGHUP)
      handler.poll()
  finally:
    signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_the_handlers_alone():
  before, seen = signal.getsignal(signal.SIGINT), []

  def work():
    with interrupts.Interrupts():
      seen.append(signal.getsignal(signal.SIGINT))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [before]


# The main thread does not look at signals while it is in a call of C.
_BUSY = """
import ctypes, os, sys
from uda_jax.train import interrupts
with interrupts.Interrupts(command=True) as handler:
  if sys.argv[1] == 'held':
    handler.hold()
  print('ready', flush=True)
  libc = ctypes.CDLL(None)
  for _ in range(3):  # each signal ends one
    libc.sleep(60)
  try:
    handler.poll()
  except interrupts.Stop:
    interrupts.leave(interrupts.exit_code(handler.error('')))
"""


def _busy(state, stderr=subprocess.PIPE):
  process = subprocess.Popen(
    [sys.executable, '-c', _BUSY, state],
    cwd=ROOT,
    text=True,
    stdout=subprocess.PIPE,
    stderr=stderr,
  )
  assert process.stdout.readline() == 'ready\n'
  return process


def test_a_command_that_has_nothing_to_save_ends_at_once():
  process = _busy('free')
  process.send_signal(signal.SIGTERM)
  _, errors = process.communicate(timeout=20)
  assert process.returncode == 75
  assert errors == 'stopped before a step was done; the same command goes on\n'


def test_a_command_that_holds_steps_ends_when_it_asks_or_at_a_second_signal():
  process = _busy('held')
  process.send_signal(signal.SIGINT)  # ends the first sleep
  time.sleep(0.2)
  assert process.poll() is None
  time.sleep(1.0)
  process.send_signal(signal.SIGTERM)
  _, errors = process.communicate(timeout=20)
  assert process.returncode == 128 + signal.SIGTERM
  assert 'second signal (SIGTERM)' in errors and errors.count('\n') == 1


def test_a_command_whose_messages_nobody_reads_ends_all_the_same():
  """Ctrl-C ends the `tee` of a pipeline first."""
  read, write = os.pipe()
  process = _busy('free', stderr=write)
  os.close(write)
  os.close(read)
  process.send_signal(signal.SIGINT)
  assert process.wait(timeout=20) == 130
