"""SIGTERM, SIGHUP and Ctrl-C: one request to stop, which the loop obeys.

Imports nothing but the standard library, so that a command can handle signals
before it imports anything slow.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, NoReturn

# BSD's EX_TEMPFAIL: "try again later", which is what a scheduler should do.
EXIT_PREEMPTED = 75
# As shells report a program that SIGINT ended.
EXIT_INTERRUPTED = 130

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# Seconds after which a signal counts as a second one: a terminal that closes
# sends SIGHUP twice at once, and so do some schedulers with SIGTERM.
_SECOND = 1.0
_ENDED = 'stopped before a step was done; the same command goes on'


class Stop(Exception):
  """Raised by `Interrupts.poll`; ends what the loop is doing."""


class Preempted(Exception):
  """SIGTERM or SIGHUP came; everything is saved."""


class Interrupted(KeyboardInterrupt):
  """Ctrl-C came; everything is saved."""


class Interrupts:
  """Handles SIGTERM, SIGHUP and SIGINT inside; a context manager.

  A signal is only noted while there are steps to save (after `hold`): the loop
  asks for it with `poll`. Before, it ends the process of a command at once;
  elsewhere the run asks for it with `check`, as an exception out of the middle
  of TensorFlow may leave one of its locks closed, and the next run of the
  process would wait for it for ever. A second signal, a second or more after
  the first, ends the run in any case. Signals that the process ignores
  (`nohup`) stay ignored; outside of the main thread none is handled.
  """

  def __init__(self, *, command: bool = False, ended: str = _ENDED):
    """Handles nothing yet.

    Args:
      command: the process is a command of its own, which a signal may end.
      ended: the line on an end before there is anything to save.
    """
    self._command = command
    self._ended = ended
    self._number: int | None = None
    self._since = 0.0
    self._held = False
    self._agree: Callable[[bool], bool] = lambda asked: asked
    self._before: dict[int, Any] = {}
    self._ends: tuple[socket.socket, socket.socket] | None = None
    self._before_fd = -1
    self._stderr = 2
    self._cleanup: Callable[[], None] = lambda: None

  def __enter__(self) -> Interrupts:
    if threading.current_thread() is not threading.main_thread():
      return self
    if self._command:
      self._watch()
    for number in _SIGNALS:
      if signal.getsignal(number) is not signal.SIG_IGN:
        self._before[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *_) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler or signal.SIG_DFL)
    self._before = {}
    if self._ends is not None:
      signal.set_wakeup_fd(self._before_fd)
      self._ends[1].close()  # the thread ends
      self._ends = None

  def _watch(self) -> None:
    """Starts a thread that receives signals.

    Python calls handlers in the main thread alone, which imports and compiles
    for seconds to minutes without looking.
    """
    # The import of TensorFlow hides stderr for a while.
    self._stderr = os.dup(2)
    read, write = self._ends = socket.socketpair()
    write.setblocking(False)
    self._before_fd = signal.set_wakeup_fd(
      write.fileno(), warn_on_full_buffer=False
    )

    def work():
      with read:
        while number := read.recv(1):
          if number[0] in self._before:
            self._receive(number[0])

    threading.Thread(target=work, name='signals', daemon=True).start()

  def _handle(self, number: int, _) -> None:
    if self._ends is None:  # else the thread has received it
      self._receive(number)

  def _receive(self, number: int) -> None:
    now = time.monotonic()
    if self._number is None:
      self._number, self._since = number, now
      if self._command and not self._held:
        self._end(self._ended)
    elif now - self._since >= _SECOND:
      name = signal.Signals(number).name
      self._end(
        f'ended by a second signal ({name}); the last checkpoint is resumed',
        code=128 + number,
      )

  def _end(self, message: str, code: int | None = None) -> None:
    error = self.error(message)
    if not self._command:
      raise error
    self._cleanup()
    tell(message, self._stderr)
    leave(exit_code(error) if code is None else code)

  def agree_with(self, agree: Callable[[bool], bool]) -> None:
    """Makes all processes of a run stop at the same `poll`.

    Args:
      agree: f(whether this process was asked to stop) -> whether all stop.
    """
    self._agree = agree

  def before_end(self, cleanup: Callable[[], None]) -> None:
    """Makes a signal call a function before it ends the process."""
    self._cleanup = cleanup

  def check(self) -> None:
    """Ends the run if a signal came before there were steps to save."""
    if self._number is not None and not self._held:
      raise self.error(self._ended)

  def hold(self) -> None:
    """Marks that from here on there are steps to save; checks before."""
    self.check()
    self._held = True

  def poll(self) -> None:
    """Raises `Stop` if a signal came; all processes call it equally often."""
    if self._agree(self._number is not None):
      raise Stop

  def error(self, message: str) -> Preempted | Interrupted:
    """Returns the exception that ends the run."""
    kind = Interrupted if self._number == signal.SIGINT else Preempted
    return kind(message)


def exit_code(error: Preempted | Interrupted) -> int:
  """Returns the exit code of a command that was stopped."""
  return EXIT_INTERRUPTED if isinstance(error, Interrupted) else EXIT_PREEMPTED


def tell(line: str, stderr: int = 2) -> None:
  """Writes a line of a process that ends, unless nobody reads it any more.

  The terminal may be closed, and Ctrl-C also ends the `tee` of a pipeline.
  """
  with contextlib.suppress(OSError):
    os.write(stderr, f'{line}\n'.encode(errors='replace'))


def leave(code: int) -> NoReturn:
  """Ends the process at once.

  Without the destructors: that of a TensorFlow pipeline takes up to a minute.
  """
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError):
      stream.flush()
  os._exit(code)
