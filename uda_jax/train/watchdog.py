"""A watchdog that writes Python's stacks when a step takes far too long."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import faulthandler
import pathlib
import statistics
import threading
import time

from absl import logging

# Steps that make a median, and seconds below which no step counts as slow.
_STEPS = 20
_LEAST = 30.0


class Watchdog:
  """Watches the time of each step; a context manager.

  When a step takes `times` the median of those before, the stacks of all
  threads are written to `<workdir>/stacks`, once for that step, and a line says
  so. The run goes on.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    times: float,
    *,
    process: int = 0,
    least: float = _LEAST,
  ):
    """Watches nothing yet.

    Args:
      workdir: the run's directory.
      times: a step is slow from this many times the median; 0 = off.
      process: number of this process.
      least: seconds below which no step is slow.
    """
    self._folder = workdir / 'stacks'
    self._times = times
    self._process = process
    self._least = least
    self._last: list[float] = []
    # The step under way and when it began.
    self._now: tuple[int, float] | None = None
    self._stop = threading.Event()

  def __enter__(self) -> Watchdog:
    if self._times:
      threading.Thread(target=self._watch, daemon=True).start()
    return self

  def __exit__(self, *_) -> None:
    self._stop.set()

  def begin(self, step: int) -> None:
    """Starts the clock of a step."""
    self._now = step, time.monotonic()

  def rest(self) -> None:
    """Stops the clock until the next `begin`."""
    self._now = None

  @contextlib.contextmanager
  def paused(self, step: int) -> Iterator[None]:
    """Stops the clock inside, and starts that of a step after it."""
    self.rest()
    yield
    self.begin(step)

  @contextlib.contextmanager
  def done(self, step: int) -> Iterator[None]:
    """Ends the time of a step; inside stands what does not count."""
    if self._now is not None:
      self._last = [*self._last[1 - _STEPS :], time.monotonic() - self._now[1]]
    with self.paused(step):
      yield

  def _watch(self) -> None:
    seen = None
    while not self._stop.wait(self._least / 10):
      now, last = self._now, self._last
      if now is None or now == seen or len(last) < 3:
        continue
      median = statistics.median(last)
      taken = time.monotonic() - now[1]
      if taken > max(self._least, self._times * median):
        seen = now
        self._write(now[0], taken, median)

  def _write(self, step: int, taken: float, median: float) -> None:
    path = self._folder / f'step_{step}_process_{self._process}.txt'
    try:
      self._folder.mkdir(exist_ok=True)
      with path.open('w') as file:
        faulthandler.dump_traceback(file, all_threads=True)
    except OSError as error:
      logging.warning('could not write the stacks of a slow step: %s', error)
      return
    logging.warning(
      'step %d has taken %.0f s, the median of the steps before is %.3g s; '
      'what every thread of process %d is doing is in %s',
      step + 1,
      taken,
      median,
      self._process,
      path,
    )
