"""One run of one config, for the tables and the demo."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import pathlib
from typing import Any

from benchmarks import plan
from uda_jax import cli
from uda_jax import configs

# Fields that count steps and are a part of the run: they grow with it.
_PARTS = (
  'method.adapt_from',
  'method.patch_contrast.start',
  'data.pair.first_step',
)
# Evaluations of a stored run: the points of its curves.
_EVALUATIONS = 4


def add_flags(group: argparse._ArgumentGroup) -> None:
  """Adds `--benchmark`, `--root` and `--workdir`."""
  group.add_argument(
    '--benchmark',
    default='streets',
    metavar='NAME',
    help='a folder in configs/; default: streets',
  )
  add_folders(group)


def add_folders(group: argparse._ArgumentGroup) -> None:
  """Adds `--root` and `--workdir`."""
  group.add_argument(
    '--root', default='', metavar='DIR', help='config.data.root of real images'
  )
  group.add_argument(
    '--workdir',
    type=pathlib.Path,
    default=pathlib.Path('runs'),
    metavar='DIR',
    help='parent folder of the runs; default: runs',
  )


def one_run(
  benchmark: str,
  config_name: str,
  seed: int,
  *,
  root: str,
  workdir: pathlib.Path,
  changes: Mapping[str, Any] = {},
  name: str = '',
) -> Any:
  """Trains (or resumes) one config with one seed; returns `train.Result`.

  Args:
    benchmark: folder in configs/.
    config_name: file in that folder, without ending.
    seed: `config.seed`.
    root: `config.data.root`.
    workdir: parent of the runs' directories.
    changes: config field -> value, beyond those two.
    name: of the run's directory; '' = `config_name`.
  """
  # TensorFlow and jax load only when a run starts, not for --help.
  from uda_jax.train import loop

  config = configs.load(f'{benchmark}/{config_name}')
  config.seed = seed
  config.data.root = root
  config.update_from_flattened_dict(changes)
  folder = workdir / benchmark / f'{name or config_name}_seed{seed}'
  return loop.run(config, str(folder))


def stored_run(
  job: plan.Job, *, root: str, workdir: pathlib.Path
) -> pathlib.Path:
  """Trains (or resumes) a run that is stored; returns its directory.

  Args:
    job: the run.
    root: `config.data.root`.
    workdir: parent of the runs' directories.

  Raises:
    cli.Failed: a signal came, which saved the run, or its loss was not finite.
  """
  import jax

  from uda_jax.train import interrupts
  from uda_jax.train import loop

  config = configs.load(f'{job.benchmark}/{job.config}')
  changes = of_length(config, job.steps)
  # Evaluations change nothing of the training.
  changes['eval.every'] = max(1, job.steps // _EVALUATIONS)
  name = f'{job.config}_steps{job.steps}'
  try:
    one_run(
      job.benchmark,
      job.config,
      job.seed,
      root=root,
      workdir=workdir,
      changes=changes,
      name=name,
    )
  except (
    interrupts.Preempted,
    interrupts.Interrupted,
    loop.TrainingFailed,
  ) as error:
    raise cli.Failed(str(error)) from error
  # The next run is another program; a plan has more than memory holds.
  jax.clear_caches()
  return workdir / job.benchmark / f'{name}_seed{job.seed}'


def of_length(config: Any, steps: int) -> dict[str, Any]:
  """Returns the fields of a config that a run of other length changes.

  Warm-up and LSE's number of rounds stay; the steps on the source alone, and
  PiPa's start of patches, are the same part of the run.

  Args:
    config: a ConfigDict.
    steps: length of the run.
  """
  if steps == config.steps:
    return {}
  changes: dict[str, Any] = {'steps': steps}
  for field in _PARTS:
    value: Any = config
    for name in field.split('.'):
      value = value.get(name) if value is not None else None
    # A term that starts after the end is off.
    if value and value < config.steps:
      changes[field] = value * steps // config.steps
  return changes
