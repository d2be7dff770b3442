"""What can be seen to be wrong with a run before anything is read or started.

Importing this costs a third of importing `train`, which needs TensorFlow.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from typing import Any

import jax

from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax.evaluate import selection
from uda_jax.evaluate import tta


def check_workdir(workdir: str | os.PathLike) -> pathlib.Path:
  """Returns the absolute path of a run's directory, which it makes.

  Raises an error if that is no folder that this process can write to.
  """
  if '://' in str(workdir):
    raise ValueError(
      f'--workdir: expected a folder that all processes see, got {workdir}; '
      'mount the bucket (gcsfuse for gs://) and give the path there'
    )
  path = pathlib.Path(workdir).absolute()
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise OSError(
      f'--workdir: expected a directory that can be written, got '
      f'{path} ({error})'
    ) from error
  return path


def check_devices(config: Any) -> None:
  """Raises ValueError if the devices here do not suit `config`.

  Starts JAX's backend: to be called after `parallel.start_processes`.
  """
  count = jax.device_count()
  if not 0 <= config.devices <= count:
    raise ValueError(
      f'config.devices: expected 1 to {count} (the devices here), or 0 for all '
      f'of them, got {config.devices}'
    )
  mesh = parallel.make_mesh(config.devices or None)
  parallel.check_groups(config.batch.groups, mesh, config.batch.accumulate)


def check_config(config) -> None:
  """Raises for values that can be seen to be wrong before any data is read."""
  models.check(config)
  methods.check(config)
  network, use = config.eval.network, config.teacher.use
  if network not in (('student', 'teacher') if use else ('student',)):
    allowed = "'student'" + (
      " or 'teacher'" if use else ' (config.teacher.use is off)'
    )
    raise ValueError(
      f'config.eval.network: expected {allowed}, got {network!r}'
    )
  selection.check(config)
  tta.check(config.eval.scales)
  in_rounds = bool(config.get('rounds'))
  if in_rounds != (config.method.name == 'lse'):
    raise ValueError(
      "config.rounds: expected fields with method 'lse' and "
      f'with no other, got {config.method.name!r} with '
      f'{"fields" if in_rounds else "none"}; see configs/blocks/lse.py'
    )
  least = config.method.adapt_from + 1 if in_rounds else 1
  if config.steps < least and not (in_rounds and config.steps == 0):
    allowed = f'at least {least}' + (
      ', or 0 for epochs over the patches' if in_rounds else ''
    )
    raise ValueError(f'config.steps: expected {allowed}, got {config.steps}')
