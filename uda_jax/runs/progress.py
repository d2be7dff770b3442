"""Log lines of a run: where they go, and its speed and time left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import logging as std_logging
import time

from absl import logging

from uda_jax import duration


@contextlib.contextmanager
def log_lines(progress: bool) -> Iterator[None]:
  """Shows the library's log lines inside, on stderr.

  Lines go to the handlers of Python's `logging` instead if there are any.

  Args:
    progress: False: warnings and errors alone.
  """
  logger = logging.get_absl_logger()
  before, handler = logger.level, None
  if progress and not (logger.handlers or std_logging.root.handlers):
    handler = std_logging.StreamHandler()
    handler.setFormatter(
      std_logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S')
    )
    # On the root logger: without any there absl would install one of its own.
    std_logging.root.addHandler(handler)
  logger.setLevel(std_logging.INFO if progress else std_logging.WARNING)
  try:
    yield
  finally:
    logger.setLevel(before)
    if handler is not None:
      std_logging.root.removeHandler(handler)


class Progress:
  """The speed of a run and the time it still needs.

  The clock starts with the first step that is reported, so that compiling does
  not count, and stands still while the run is `paused`.
  """

  def __init__(
    self, num_steps: int, images_per_step: int, *, clock=time.monotonic
  ):
    """Starts no clock yet.

    Args:
      num_steps: the step with which the run ends.
      images_per_step: images per step, of both domains.
      clock: seconds, for tests.
    """
    self._num_steps = num_steps
    self._images_per_step = images_per_step
    self._clock = clock
    self._mark: tuple[int, float] | None = None
    self._seconds_per_step: float | None = None

  def until(self, num_steps: int) -> None:
    """Sets the step with which the run, or its round, ends."""
    self._num_steps = num_steps

  def line(self, step: int, metrics: Mapping[str, float]) -> str:
    """Returns the line of a finished step.

    Args:
      step: steps done.
      metrics: its values; `loss/total` and `learning_rate` are shown.
    """
    now = self._clock()
    if self._mark is not None and step > self._mark[0]:
      self._seconds_per_step = (now - self._mark[1]) / (step - self._mark[0])
    self._mark = step, now
    parts = [
      f'step {step}/{self._num_steps} ({100 * step // self._num_steps}%)'
    ]
    for name, key in (('loss', 'loss/total'), ('lr', 'learning_rate')):
      if key in metrics:
        parts.append(f'{name} {metrics[key]:.3g}')
    if self._seconds_per_step:
      left = (self._num_steps - step) * self._seconds_per_step
      parts += [
        f'{self._images_per_step / self._seconds_per_step:.1f} img/s',
        f'ETA {duration.text(left)}',
      ]
    return '  '.join(parts)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Excludes the time spent inside from the speed."""
    start = self._clock()
    yield
    if self._mark is not None:
      step, mark = self._mark
      self._mark = step, mark + self._clock() - start
