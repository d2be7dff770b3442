"""Further places for the curves and pictures of a run: the caller's loggers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from absl import logging
import numpy as np


class Logger(Protocol):
  """Receives what a run writes for TensorBoard; only in the first process.

  Steps grow, except that a resumed run repeats those after its checkpoint.
  """

  def log_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Receives numbers by name, such as 'loss/total' or 'eval/miou/...'."""

  def log_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Receives pages by name, [H, W, 3] uint8."""

  def close(self) -> None:
    """Is called once, at the end of the run or when it stops."""


class Loggers:
  """Several loggers as one; one that fails is named and left out.

  A tracker that is out of reach must not end a training of days.
  """

  def __init__(self, loggers: Sequence[Logger]):
    """Takes the loggers; () is allowed."""
    self._loggers = list(loggers)

  def log_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
    """Hands numbers to all."""
    self._each(lambda logger: logger.log_scalars(step, scalars))

  def log_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Hands pictures to all."""
    self._each(lambda logger: logger.log_images(step, images))

  def close(self) -> None:
    """Closes all."""
    self._each(lambda logger: logger.close())
    self._loggers = []

  def _each(self, call: Callable[[Any], None]) -> None:
    for logger in list(self._loggers):
      try:
        call(logger)
      except Exception as error:  # Anything that foreign code may raise.
        self._loggers.remove(logger)
        logging.warning(
          '%s failed and gets nothing more, the run goes on: %s: %s',
          type(logger).__name__,
          type(error).__name__,
          error,
        )
