"""Ctrl-C without a broken state."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import signal
import threading
from typing import Any

import jax


class Interrupts:
  """Defers Ctrl-C (SIGINT) while a state is being replaced.

  A context manager that handles SIGINT inside: `KeyboardInterrupt` is raised at
  once, as usual, but in a block under `deferred` only at its end. In a run of
  several processes, and outside of the main thread, SIGINT keeps its handler.
  """

  def __init__(self) -> None:
    self._busy = self._pending = False
    self._before: Any = None

  def __enter__(self) -> Interrupts:
    if (
      jax.process_count() == 1
      and threading.current_thread() is threading.main_thread()
    ):
      self._before = signal.signal(signal.SIGINT, self._handle)
    return self

  def __exit__(self, *_) -> None:
    if self._before is not None:
      signal.signal(signal.SIGINT, self._before)

  def _handle(self, *_) -> None:
    if not self._busy:
      raise KeyboardInterrupt
    self._pending = True

  @contextlib.contextmanager
  def deferred(self) -> Iterator[None]:
    """Raises a `KeyboardInterrupt` from inside at the end of the block."""
    self._busy = True
    try:
      yield
    finally:
      self._busy = False
    if self._pending:
      self._pending = False
      raise KeyboardInterrupt
