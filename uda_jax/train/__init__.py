"""Training: the loop, the train step and what they are built from."""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from uda_jax.runs import loggers as loggers_lib
  from uda_jax.train import loop


def run(
  config: Any,
  workdir: str | os.PathLike,
  *,
  progress: bool = True,
  loggers: Sequence[loggers_lib.Logger] = (),
) -> loop.Result:
  """Trains from scratch or from the latest checkpoint; returns the results.

  Loads TensorFlow only when called. The log lines (start-up, a line every few
  seconds with loss, speed and time left, evaluations) go to stderr, or to the
  handlers of Python's `logging` if the caller has set up any.

  >>> from uda_jax import configs, train
  >>> config = configs.load('streets/self_training')
  >>> result = train.run(config, 'runs/first')  # doctest: +SKIP
  >>> print(result.reports['teacher']['miou'])  # doctest: +SKIP

  Args:
    config: a ConfigDict, see `configs.load`.
    workdir: the run's directory; a run that it holds is resumed.
    progress: whether to log; warnings show in any case.
    loggers: further places for curves and pictures, see `runs.loggers`.

  Returns:
    A `uda_jax.train.loop.Result`: `run`, `variables` and `reports`.

  Raises:
    ValueError, OSError: a bad config, bad data or a bad directory.
    loop.TrainingFailed: too many non-finite steps in a row.
    KeyboardInterrupt: Ctrl-C came; the state is saved, the same call resumes.
  """
  from uda_jax import cli
  from uda_jax import logs
  from uda_jax.runs import progress as progress_lib

  logs.quiet()
  # First of all: some libraries set up logging when they are imported.
  with progress_lib.log_lines(progress):
    with cli.hidden_stderr():
      from uda_jax.train import loop

    return loop.run(config, workdir, progress=progress, loggers=loggers)
