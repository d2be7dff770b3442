"""Initial variables from another run, checked against this run's config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import logging
import ml_collections

from uda_jax import methods
from uda_jax import models
from uda_jax import types
from uda_jax.models import weights as weights_lib
from uda_jax.models.weights import metadata
from uda_jax.runs import lineage
from uda_jax.runs import restore

_FIELD = 'config.warm_start.workdir'


def load(
  config: ml_collections.ConfigDict,
  num_classes: int,
  variables: types.Variables,
  image_size: tuple[int, int],
) -> types.Variables:
  """Returns the variables of `config.warm_start`.

  With `config.model.new_classifier` the classifier keeps its initial values;
  the number of classes may differ from that of the other run.

  Args:
    config: this run's.
    num_classes: of this run.
    variables: initial values of this run's network.
    image_size: (height, width) of any image that the network takes.

  Raises:
    ValueError: the directory holds no run, or one with another preprocessing,
      with other tensors, or with weights that saw labels of the target and
      may not.
  """
  found = declared(config)
  assert found is not None, 'the config names no run'
  run = config.warm_start.workdir
  other = restore.read_config(run)
  _check_network(config, other, found)
  new: models.Modules = frozenset()
  if config.model.new_classifier:
    new = models.classifier(config, num_classes, image_size)
  return restore.load_variables(
    run,
    config.warm_start.network,
    other,
    variables,
    field=_FIELD,
    new=new,
  )


def _check_network(
  config: ml_collections.ConfigDict,
  other: ml_collections.ConfigDict,
  found: dict[str, Any],
) -> None:
  """Raises ValueError unless a run may start from the network of another.

  Args:
    config: this run's.
    other: the other run's.
    found: declared facts about the weights of the other run.
  """
  run = config.warm_start.workdir
  if other.model.name != config.model.name:
    raise ValueError(
      f'{_FIELD}: {run} is a run of another network, {other.model.name}; '
      f'config.model.name is {config.model.name}'
    )
  ours = models.preprocessing_name(config)
  if found['preprocessing'] != ours:
    raise ValueError(
      f'{_FIELD}: {run} was trained on {found["preprocessing"]} pixels, the '
      f'network of this config takes {ours} pixels; {metadata.WAY_OUT}'
    )
  metadata.check_target_labels(
    run, found, allowed=config.model.allow_target_labels
  )


def check_classes(
  config: ml_collections.ConfigDict,
  names: Sequence[str],
  origin: weights_lib.Provenance | None = None,
) -> None:
  """Checks that the classifier that a run starts with has its classes.

  Arrays of two tables of equally many classes have the same shapes.

  Args:
    config: this run's.
    names: of its classes.
    origin: of `config.model.weights`, None without any.

  Raises:
    ValueError: a class of both has another number there.
  """
  run = config.warm_start.workdir
  if config.model.new_classifier:
    return
  if run:
    field, theirs = _FIELD, restore.read_manifest(run)['classes']['names']
  elif origin and not config.model.get('class_rows', ()):
    run, field = origin.path, 'config.model.weights'
    theirs = origin.declared.get('classes', ())
  else:
    return
  if len(theirs) != len(names):
    return  # loading says what does not fit
  for number, name in enumerate(names):
    if name in theirs and theirs[number] != name:
      raise ValueError(
        f'{field}: expected the classes in one order, got {name!r} as number '
        f'{theirs.index(name)} in {run} and as number {number} here; name them '
        f'in the order {tuple(theirs)}, or start with a new classifier, '
        'config.model.new_classifier=True'
      )
    if theirs[number] != name:
      logging.warning('%s: %r is %r there', field, name, theirs[number])


def declared(config: ml_collections.ConfigDict) -> dict[str, Any] | None:
  """Returns the facts about the weights of `config.warm_start`.

  Args:
    config: this run's.

  Returns:
    `trained_on`, `saw_target_labels` and `preprocessing` of the other run; None
    without a warm start.

  Raises:
    ValueError: the directory holds no run.
  """
  if not config.warm_start.workdir:
    return None
  run = config.warm_start.workdir
  try:
    manifest = restore.read_manifest(run)
  except (ValueError, OSError) as error:
    raise ValueError(f'{_FIELD}: {error}') from error
  other = restore.read_config(run)
  facts = lineage.declared(
    other, methods.full_name(other.method), manifest['started_from']
  )
  return facts | {'preprocessing': models.preprocessing_name(other)}
