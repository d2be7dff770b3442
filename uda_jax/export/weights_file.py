"""Safetensors files of a run's network, and their declarations."""

from __future__ import annotations

import pathlib
from typing import Any

import ml_collections

from uda_jax import methods
from uda_jax import models
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import metadata
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import spellings
from uda_jax.runs import lineage
from uda_jax.runs import restore


def declaration(
  config: ml_collections.ConfigDict,
  which: str,
  spelling: str,
  started_from: dict[str, Any],
  step: int | None = None,
) -> dict[str, Any]:
  """Returns the declaration of a run's weights, see `models.weights.metadata`.

  Args:
    config: the run's.
    which: 'student', 'teacher' or 'best'.
    spelling: of the file.
    started_from: the declaration of the weights that the run started from.
    step: at which the network was stored; None: unknown.
  """
  return {
    **lineage.declared(config, methods.full_name(config.method), started_from),
    'preprocessing': models.preprocessing_name(config),
    'model': config.model.name,
    'network': which,
    'spelling': spelling,
    **({} if step is None else {'step': step}),
  }


def started_from(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns the declaration of the weights that a run started from."""
  return restore.read_manifest(workdir)['started_from']


def write(
  workdir: pathlib.Path, network: str, out: pathlib.Path, *, spelling: str = ''
) -> int:
  """Writes a network of a run, and its declaration beside it.

  Args:
    workdir: the run's directory.
    network: 'student', 'teacher' or 'best'; '' = the one that the run reports.
    out: the file.
    spelling: name of a row of `spellings.SPELLINGS`; '' = the authors' names.

  Returns:
    The number of tensors.
  """
  names = [row.name for row in spellings.SPELLINGS]
  if spelling and spelling not in names:
    raise ValueError(
      f'--spelling: expected one of {", ".join(names)}, got {spelling!r}'
    )
  trained = restore.load(workdir, network)
  tensors = models.export(trained.config, trained.variables)
  if spelling:
    tensors = key_maps.respell(tensors, spelling)
  safetensors.write(out, tensors)
  metadata.write(
    out,
    declaration(
      trained.config,
      network or restore.reported(trained.config),
      spelling,
      started_from(workdir),
      trained.step,
    )
    | {'classes': list(trained.class_names)},
  )
  return len(tensors)
