"""Validates config, directory and devices before any data is read.

Needs no TensorFlow: a mistake is reported in a second or two.
"""

from __future__ import annotations

import os
import pathlib
import re
import tempfile

import jax
import ml_collections

from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax import types
from uda_jax.data import checks as data_checks
from uda_jax.data import records
from uda_jax.evaluate import checks as evaluate_checks
from uda_jax.evaluate import selection
from uda_jax.models import adapters
from uda_jax.models import reference
from uda_jax.models.weights import parts
from uda_jax.runs import packed
from uda_jax.train import class_weights
from uda_jax.train import fields
from uda_jax.train import optim
from uda_jax.train import ranges

# gs://bucket; pathlib makes one slash of two.
_URL = re.compile(r'[a-z][a-z0-9+.-]+:/')


def check_workdir(
  workdir: str | os.PathLike, flag: str = '--workdir'
) -> pathlib.Path:
  """Returns the absolute path of a run's directory; makes it if needed.

  Args:
    workdir: the directory; ~ at its start is the home folder.
    flag: that names it, for messages.

  Raises:
    ValueError: it is in a bucket.
    OSError: it is not a directory that this process can write to.
  """
  if _URL.match(str(workdir)):
    raise ValueError(
      f'{flag}: expected a folder that all processes see, got {workdir}; '
      'mount the bucket (gcsfuse for gs://) and give the path there'
    )
  path = pathlib.Path(workdir).expanduser().absolute()
  try:
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
      pass
  except OSError as error:
    raise OSError(
      f'{flag}: expected a directory that can be written, got {path} ({error})'
    ) from error
  return path


def check_devices(config: types.Config) -> None:
  """Raises ValueError if the devices here do not suit `config`.

  Starts JAX's backend: to be called after `parallel.start_processes`.
  """
  count = jax.device_count()
  if not 0 <= config.devices <= count:
    some = '1' if count == 1 else f'1 to {count}'
    raise ValueError(
      f'config.devices: expected {some} (the devices here), or 0 for all of '
      f'them, got {config.devices}'
    )
  mesh = parallel.make_mesh(config.devices or None)
  held = [device.process_index for device in mesh.devices.flat]
  if len({held.count(i) for i in range(jax.process_count())}) > 1:
    raise ValueError(
      f'config.devices: expected 0 (all devices) with {jax.process_count()} '
      f'processes, got {config.devices}, which some processes have no part in'
    )
  parallel.check_groups(config.batch.groups, mesh, config.batch.accumulate)


def check_config(config: ml_collections.ConfigDict) -> None:
  """Raises ValueError, in one line, for a config that cannot be run."""
  ranges.check(config)
  fields.check(config)
  optim.check(config.optim)
  adapters.rule(config.optim)
  optim.check_schedule(config.schedule)
  data_checks.check(config.data)
  models.check(config)
  for name in records.PARTS:
    for entry in records.entries(config.data, name):
      records.check_channels(
        entry.record['kind'], config.model.in_channels, entry.field
      )
  methods.check(config)
  source = records.class_names(config.data, 'source')
  class_weights.check(config.method, source)
  _check_classes(config, source)
  _check_schedule(config)
  evaluate_checks.check(config)
  selection.check(config)
  _check_rounds(config)
  _check_kept(config.checkpoint)
  fields.check_types(config)
  _check_start(config)


def _check_classes(
  config: ml_collections.ConfigDict, names: tuple[str, ...]
) -> None:
  """Checks classes given by number: those of other data would count nowhere."""
  numbers = {}
  if config.method.get('weight_distance', 0.0):
    numbers['method.distance_classes'] = config.method.get(
      'distance_classes', ()
    )
  if config.rounds is not None:
    numbers['rounds.skip_classes'] = config.rounds.skip_classes
  for field, classes in numbers.items():
    unknown = [c for c in classes if c not in range(len(names))]
    if unknown:
      raise ValueError(
        f'config.{field}: expected numbers of the {len(names)} classes '
        f'{names}, got {unknown[0]} in {tuple(classes)}'
      )


def _check_schedule(config: ml_collections.ConfigDict) -> None:
  """Checks that a decay that ends does not end before the run."""
  schedule, steps = config.schedule, config.steps
  decays = schedule.shape in optim.ENDING and config.rounds is None
  if decays and 0 < schedule.length < steps:
    raise ValueError(
      'config.schedule.length: expected 0 (the end of the run) or at least '
      f'config.steps={steps}, as the rate of {schedule.shape!r} is 0 from '
      f'there on, got {schedule.length}'
    )


def _check_kept(config: ml_collections.ConfigDict) -> None:
  """Checks that checkpoints are made at the steps whose are to stay."""
  if config.keep_every % config.every:
    raise ValueError(
      'config.checkpoint.keep_every: expected a multiple of '
      f'checkpoint.every ({config.every}), or 0, got {config.keep_every}'
    )


def _check_rounds(config: ml_collections.ConfigDict) -> None:
  """Checks `rounds` and `steps`, which LSE alone may leave to its rounds."""
  in_rounds = config.rounds is not None
  if in_rounds != (config.method.name == 'lse'):
    raise ValueError(
      "config.rounds: expected a block with method 'lse' and with no other, "
      f'got method {config.method.name!r} with '
      f'{"a" if in_rounds else "no"} block; see configs/blocks/lse.py'
    )
  own_size = in_rounds and [
    entry.field
    for entry in records.entries(config.data, 'target')
    if any(entry.resize_to)
  ]
  if own_size:
    raise ValueError(
      f'{own_size[0]}.resize_to: expected (0, 0) in rounds, as all target '
      'images are ranked at config.data.target_image_size'
    )
  least = config.method.adapt_from + 1 if in_rounds else 1
  if config.steps < least and not (in_rounds and config.steps == 0):
    allowed = f'at least {least}' + (
      ', or 0 for epochs over the patches' if in_rounds else ''
    )
    raise ValueError(f'config.steps: expected {allowed}, got {config.steps}')


def _check_start(config: ml_collections.ConfigDict) -> None:
  """Checks that what a run starts from is there."""
  _check_weights(config)
  _check_reference(config)
  workdir = config.warm_start.workdir
  if workdir and not packed.directory(workdir).is_dir():
    raise FileNotFoundError(
      'config.warm_start.workdir: expected the directory of a run, found none '
      f'at {workdir}'
    )


def _check_reference(config: ml_collections.ConfigDict) -> None:
  """Checks that a feature distance has a pretrained network."""
  if not config.method.get('weight_distance', 0.0):
    return
  field, block = 'config.model', config.model
  expected = 'the file of a pretrained encoder, see docs/weights.md'
  if block.get('reference'):
    field, block = f'{field}.reference', block.reference
    reference.check(config.model)
    expected = reference.file_and_origin(block.encoder)
  path = parts.locate(block.weights).path
  if block.weights == models.PACKAGED or (block.weights and path.exists()):
    return
  found = f'no file {path.absolute()}' if block.weights else "''"
  raise ValueError(
    f'{field}.weights: expected {expected}; got {found}. The frozen network is '
    'what config.method.weight_distance measures the distance to; 0 switches '
    'it off'
  )


def _check_weights(config: ml_collections.ConfigDict) -> None:
  """Checks that the weights are there which the config names or needs."""
  weights, needed = config.model.weights, config.model.starts_from
  named = weights and weights != models.PACKAGED
  if named and not (path := parts.locate(weights).path).exists():
    found = f'no file {path.absolute()}'
  elif named and path.is_dir():
    found = f'the folder {path.absolute()}; name the file'
  elif needed and not weights and not config.warm_start.workdir:
    found = "'' and no config.warm_start.workdir"
  else:
    return
  expected = needed or 'a weight file, see docs/weights.md'
  flags = ('--config.model.weights= ' if weights else '') + (
    '--config.model.starts_from= ' if needed else ''
  )
  raise ValueError(
    f'config.model.weights: expected {expected}; got {found}; {flags}to start '
    'at random'
  )
