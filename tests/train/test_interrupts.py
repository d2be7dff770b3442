"""Tests of Ctrl-C."""

import os
import signal
import threading

import pytest

from uda_jax.train import interrupts


def _press():
  os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_the_end_of_the_block():
  done = []
  with interrupts.Interrupts() as handler, pytest.raises(KeyboardInterrupt):
    with handler.deferred():
      _press()
      done.append('step')
    done.append('never')
  assert done == ['step']


def test_ctrl_c_elsewhere_is_immediate_and_the_handler_comes_back():
  before = signal.getsignal(signal.SIGINT)
  with interrupts.Interrupts() as handler:
    with handler.deferred():
      pass
    with pytest.raises(KeyboardInterrupt):
      _press()
      pytest.fail('no interrupt')
  assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_handler_alone():
  before, seen = signal.getsignal(signal.SIGINT), []

  def work():
    with interrupts.Interrupts():
      seen.append(signal.getsignal(signal.SIGINT))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [before]
