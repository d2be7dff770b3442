"""Notices within seconds when another process of the run dies, hangs or fails.

Every process writes a sign of life into JAX's coordination service and reads
those of the others. JAX alone notices after minutes, if its collectives do not
wait for ever, and then aborts with a C++ stack.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import os
import re
import socket
import threading
import time
import traceback
from typing import Any, NoReturn

import jax

from uda_jax import parallel
from uda_jax.train import interrupts

_KEY = 'uda_jax/peers/'
_VERDICT = 'verdict'
# How errors of XLA's begin that JAX raises as ValueError.
_STATUS = re.compile(r'\b(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED): ')
# Seconds that a process may take to import and to compile before its first
# step: Python gives other threads no time during an import.
_START = 300.0


class Peers:
  """Watches the other processes of a run; a context manager.

  A process that is silent for `seconds` ends this one with
  `parallel.EXIT_PEER` and a line that names it and its last step. One that ends
  by an exception ends the others with exit code 1 and its message. `step` is
  what the others know of this process; None before the first one.
  """

  def __init__(
    self,
    seconds: float,
    *,
    alike: tuple[type[BaseException], ...] = (),
    cleanup: Callable[[], None] = lambda: None,
  ):
    """Watches nothing yet.

    Args:
      seconds: without a sign of life after which a process counts as dead.
      alike: exceptions that all processes raise together.
      cleanup: called before this process ends.
    """
    self.step: int | None = None
    self._seconds = seconds
    self._every = min(5.0, seconds / 6)
    self._alike = alike
    self._cleanup = cleanup
    self._state = 'runs'
    self._count = jax.process_count()
    self._number = jax.process_index()
    # Number -> (what it wrote last, when that was read).
    self._news: dict[int, tuple[dict[str, Any], float]] = {}
    self._asked = 0.0  # since when the service has been asked; 0: not now
    self._stop = threading.Event()
    self._ending = threading.Lock()

  def __enter__(self) -> Peers:
    if self._count > 1:
      now = time.monotonic()
      self._news = {p: ({}, now) for p in range(self._count)}
      for work in (self._talk, self._judge):
        threading.Thread(target=work, name='peers', daemon=True).start()
    return self

  def __exit__(self, _, error: BaseException | None, __) -> None:
    if self._count == 1:
      return
    if error is not None and _broken(error):
      # A collective broke: a process is gone, and the verdict ends this one.
      self._wait_for_verdict()
    if error is not None and not isinstance(error, self._alike):
      self._stop.set()
      self._fail(error)
    self._state = 'done'
    # Watched: it takes for ever if process 0 is gone.
    self._put(str(self._number), self._sign(0))
    self._stop.set()

  def _wait_for_verdict(self) -> None:
    """Returns if all others still give signs of life."""
    before = {
      number: sign
      for number, (sign, _) in self._news.items()
      if number != self._number and sign.get('state') != 'done'
    }
    time.sleep(self._seconds + 4 * self._every)
    # On a busy machine the verdict takes longer.
    while any(self._news[number][0] == sign for number, sign in before.items()):
      time.sleep(self._every)

  def _fail(self, error: BaseException) -> NoReturn:
    """Reports an error to the others, and ends this process.

    Without what would come: all that closes or ends would wait for the others.
    """
    message = (
      f'process {self._number} of {self._count} ({socket.gethostname()}) '
      f'failed{_at(self.step)}: {error}'
    )
    verdict = {'message': message, 'code': 1}
    self._put_in_time(_VERDICT, verdict)
    if not isinstance(error, (ValueError, OSError)):
      traceback.print_exception(error)
    self._leave(message, getattr(error, 'exit_code', 1))

  def _talk(self) -> None:
    """Writes this process's signs and reads the others', until the end."""
    turn = 0
    while not self._stop.wait(self._every if turn else 0):
      turn += 1
      self._asked = time.monotonic()
      self._put(str(self._number), self._sign(turn))
      for name, text in self._get():
        if name == _VERDICT:
          self._end(**json.loads(text))
        else:
          self._read(int(name), json.loads(text))
      self._asked = 0.0

  def _sign(self, turn: int) -> dict[str, Any]:
    return dict(
      turn=turn,
      step=self.step,
      state=self._state,
      host=socket.gethostname(),
      pid=os.getpid(),
    )

  def _read(self, number: int, sign: dict[str, Any]) -> None:
    if sign != self._news[number][0]:
      self._news[number] = sign, time.monotonic()

  def _judge(self) -> None:
    """Ends this process when another one is silent for too long."""
    before = time.monotonic()
    while not self._stop.wait(self._every / 4):
      now = time.monotonic()
      if now - before > self._every:
        # This process itself was stopped for a while (or its machine slept).
        self._news = {p: (sign, now) for p, (sign, _) in self._news.items()}
      before = now
      if silent := self._silent(now):
        message = '; '.join(map(self._describe, silent))
        message += '. The run ends here; its last checkpoint is resumed'
        verdict = dict(message=message, code=parallel.EXIT_PEER)
        # Not here: the service may be gone.
        threading.Thread(
          target=self._put, args=(_VERDICT, verdict), daemon=True
        ).start()
        self._end(message, parallel.EXIT_PEER)

  def _silent(self, now: float) -> list[int]:
    """Returns the numbers of the processes that are silent for too long."""
    late = [
      number
      for number, (sign, when) in self._news.items()
      if number != self._number
      and sign.get('state') != 'done'
      and now - when > self._allowed(sign)
    ]
    # Process 0 passes the signs on: without it all others are silent.
    asked = self._asked
    if late and asked and now - asked > self._seconds / 2:
      return [0]
    return late

  def _allowed(self, sign: dict[str, Any]) -> float:
    started = sign.get('step') is not None
    return self._seconds if started else max(self._seconds, _START)

  def _describe(self, number: int) -> str:
    sign, _ = self._news[number]
    where = f' (pid {sign["pid"]} on {sign["host"]})' if sign else ''
    return (
      f'process {number} of {self._count}{where} died or hangs'
      f'{_at(sign.get("step"))}: no sign of life for {self._seconds:g} s '
      '(config.parallel.heartbeat_seconds)'
    )

  def _end(self, message: str, code: int) -> None:
    # Once: the verdict of one thread is read by the other.
    if not self._stop.is_set() and self._ending.acquire(blocking=False):
      self._leave(message, code)

  def _leave(self, message: str, code: int) -> NoReturn:
    self._cleanup()
    interrupts.tell(f'error: {message}')
    if self._number == 0:
      # The others ask this process for the verdict.
      time.sleep(3 * self._every)
    interrupts.leave(code)

  def _put(self, name: str, value: dict[str, Any]) -> None:
    """Writes a value; a service that is gone is noticed by its silence."""
    try:
      parallel.client().key_value_set(
        _KEY + name, json.dumps(value), allow_overwrite=True
      )
    except jax.errors.JaxRuntimeError:
      pass

  def _put_in_time(self, name: str, value: dict[str, Any]) -> None:
    """Writes a value, and gives up if the service does not answer."""
    work = threading.Thread(target=self._put, args=(name, value), daemon=True)
    work.start()
    work.join(self._seconds)

  def _get(self) -> list[tuple[str, str]]:
    try:
      found = parallel.client().key_value_dir_get(_KEY)
    except jax.errors.JaxRuntimeError:
      return []
    return [(key.removeprefix(_KEY), text) for key, text in found]


def _broken(error: BaseException | None) -> bool:
  """Returns whether an error came of devices that could not talk.

  Also one that was raised on the way, such as from a checkpoint's write.
  """
  while error is not None:
    if isinstance(error, jax.errors.JaxRuntimeError) or _STATUS.search(
      str(error)
    ):
      return True
    error = error.__cause__ or error.__context__
  return False


def _at(step: int | None) -> str:
  return ' before its first step' if step is None else f' after step {step}'
