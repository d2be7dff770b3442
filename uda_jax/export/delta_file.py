"""Writes what a run with adapters trained, without its frozen base."""

from __future__ import annotations

import pathlib

import jax

from uda_jax import types
from uda_jax.export import manifest_file
from uda_jax.export import weights_file
from uda_jax.models import adapters
from uda_jax.runs import adapted
from uda_jax.runs import delta
from uda_jax.runs import networks
from uda_jax.runs import packed
from uda_jax.runs import restore


def write(
  workdir: pathlib.Path, network: str, folder: pathlib.Path
) -> tuple[int, pathlib.Path]:
  """Writes a folder that, with the base, stands where the run does.

  Args:
    workdir: the run's directory.
    network: 'student', 'teacher' or 'best'; '' = the one that the run reports.
    folder: for the files; it is made if need be.

  Returns:
    The number of arrays, and the file of the base.

  Raises:
    ValueError: the run has no adapters, there is no such network, or the folder
      is that of a run.
  """
  run = packed.directory(workdir)
  base = adapted.read(run)
  if base is None:
    raise ValueError(
      f'--delta: expected the directory of a run with adapters '
      f'(config.optim.adapters), whose {adapted.FILE} is frozen, got {workdir} '
      'without; write its whole network, without --delta'
    )
  _check_folder(folder)
  trained = restore.load(workdir, network)
  which = network or restore.reported(trained.config)
  variables = networks.load(
    run, which, _with_adapters(trained), field='--workdir'
  )
  folder.mkdir(parents=True, exist_ok=True)
  declared = weights_file.declaration(
    trained.config,
    which,
    '',
    weights_file.started_from(workdir),
    trained.step,
  )
  base_path = run / adapted.FILE
  count = delta.write(folder, base, base_path, variables, declared)
  manifest_file.write(workdir, trained.config, folder)
  return count, base_path


def _check_folder(folder: pathlib.Path) -> None:
  """Raises ValueError for a folder whose files would be overwritten."""
  taken = (folder / packed.MANIFEST).exists()
  if taken and not (folder / delta.FILE).exists():
    raise ValueError(
      f'--out: expected a folder for the delta alone, got {folder}, which is '
      'that of a run; name a new one'
    )


def _with_adapters(trained: restore.Trained) -> types.Variables:
  """Returns the shapes of a run's network as it trained."""
  rule = adapters.rule(trained.config.optim)
  assert rule is not None, 'a run with a base has adapters'
  params = jax.eval_shape(
    lambda params: adapters.adapt(rule, params, jax.random.key(0)),
    trained.variables.params,
  )
  here = jax.tree.leaves(trained.variables)[0].sharding
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
    trained.variables._replace(params=params),
  )
