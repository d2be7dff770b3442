"""Training in a command: how it ends, and with which exit code."""

from __future__ import annotations

import pathlib

import jax

from uda_jax import cli
from uda_jax import parallel
from uda_jax import types
from uda_jax.runs import lock
from uda_jax.train import interrupts
from uda_jax.train import loop


def run(
  config: types.Config, workdir: pathlib.Path, handler: interrupts.Interrupts
) -> loop.Result:
  """Trains a config, or resumes its run; a signal ends the process.

  Args:
    config: the run's.
    workdir: its directory.
    handler: of the signals, entered.

  Raises:
    cli.Failed: the loss or the gradient stayed non-finite.
    ValueError, OSError: see `loop.run`.
  """
  try:
    return loop.run(config, workdir, handler=handler)
  except (interrupts.Preempted, interrupts.Interrupted) as stopped:
    if jax.process_index() == 0:
      interrupts.tell(str(stopped))
    parallel.stop_processes()
    interrupts.leave(interrupts.exit_code(stopped))
  except lock.Gone as error:
    interrupts.tell(f'error: {error}')
    interrupts.leave(error.exit_code)
  except loop.TrainingFailed as error:
    raise cli.Failed(str(error)) from error
