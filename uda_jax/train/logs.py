"""Opens the curves and pictures of a run, and the loggers of the caller."""

from __future__ import annotations

from collections.abc import Sequence

from uda_jax import methods
from uda_jax.runs import loggers as loggers_lib
from uda_jax.runs import writers
from uda_jax.train import setup


def open_writer(
  run: setup.Run, step: int, loggers: Sequence[loggers_lib.Logger] = ()
) -> writers.Writer:
  """Returns the writer of a run.

  Args:
    run: the run.
    step: at which it starts or resumes.
    loggers: get the same points and pages.
  """
  config, source = run.config, run.data.source
  return writers.Writer(
    run.workdir,
    first_step=step,
    num_steps=config.steps,
    every=config.log.every,
    seconds=config.log.seconds,
    images_per_step=(1 + run.recipe.method.uses_target)
    * config.batch.groups
    * config.batch.group_size,
    palette=source.palette,
    class_names=source.class_names,
    method=methods.full_name(config.method),
    loggers=loggers,
  )
