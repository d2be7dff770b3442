"""Builds a run from a config: data, network, method, devices."""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib
from typing import NamedTuple

from absl import logging
import jax
from jax.sharding import Mesh

from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax import rng
from uda_jax import types
from uda_jax import words
from uda_jax.data import image_size
from uda_jax.data import pipeline
from uda_jax.models import attention
from uda_jax.models import reference
from uda_jax.models import weights as weights_lib
from uda_jax.models.weights import once
from uda_jax.runs import adapted
from uda_jax.train import adaptation
from uda_jax.train import checks
from uda_jax.train import class_weights
from uda_jax.train import data_sets
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import warm_start

_ENDLESS = 2**31


class Run(NamedTuple):
  """A run, built from its config.

  Attributes:
    config: the ConfigDict.
    workdir: the run's directory.
    mesh: the devices.
    data: the data sets.
    recipe: method, network, optimizer and teacher rule.
    frozen: variables of the pretrained network for a feature distance, or None.
    weights: where `config.model.weights` come from, None without any.
    base: the frozen arrays of a run with adapters, None without.
  """

  config: types.Config
  workdir: pathlib.Path
  mesh: Mesh
  data: data_sets.Data
  recipe: recipe_lib.Recipe
  frozen: types.Variables | None = None
  weights: weights_lib.Provenance | None = None
  base: adapted.Base | None = None


def batches(
  run: Run, first_step: int, *, read_target: bool | None = None
) -> Iterator[types.Batch]:
  """Returns this process's share of the batches from `first_step` on.

  They end with the run; without an end if `config.steps` is 0 (rounds).

  Args:
    run: the run.
    first_step: number of the first batch.
    read_target: whether to read target images; default: if the method uses
      them.
  """
  if read_target is None:
    read_target = run.recipe.method.uses_target
  config = run.config
  return pipeline.train_batches(
    config.data,
    seed=config.seed,
    first_step=first_step,
    num_steps=config.steps or _ENDLESS,
    groups=config.batch.groups,
    group_size=config.batch.group_size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
    source=run.data.source,
    target=run.data.target,
    labeled=run.data.target_labels,
    read_target=read_target,
    note=functools.partial(note_left_out, run),
  )


def note_left_out(run: Run, line: str) -> None:
  """Logs a file that a run leaves out, and lists it in the run's directory.

  Args:
    run: the run.
    line: names the file and what is wrong with it.
  """
  logging.warning('%s', line)
  path = run.workdir / f'left_out_{jax.process_index()}.txt'
  # Names of files are bytes, which need not be UTF-8.
  with path.open('a', encoding='utf8', errors='surrogateescape') as file:
    print(line, file=file)


def start_networks(
  config: types.Config,
  network: types.Network,
  num_classes: int,
  image_size: tuple[int, int],
) -> tuple[types.Variables, types.Variables | None]:
  """Returns the student's initial variables and the frozen pretrained ones.

  The student starts from `config.warm_start`, else from `config.model.weights`,
  else at random. The frozen ones are for a feature distance: those of the
  network's reference, else the pretrained ones; None without a distance.
  """
  key = rng.stream(jax.random.key(config.seed), 'network')
  pretrained = variables = network.init(key, image_size)
  if config.warm_start.workdir:
    variables = warm_start.load(config, num_classes, variables, image_size)
  if not config.method.get('weight_distance', 0.0):
    return variables, None
  if network.reference is not None:
    return variables, network.reference.init(key, image_size)
  return variables, pretrained


def _image_size(config: types.Config, data: data_sets.Data) -> tuple[int, int]:
  """Returns the size of a source image in training."""
  source = data.source
  sizes = (
    config.data.crop_size,
    source.sets[0].resize_to if source.sets else (0, 0),
    config.data.source_image_size,
    (int(source.heights[0]), int(source.widths[0])),
  )
  # A shorter side alone is no size.
  return next(tuple(size) for size in sizes if all(size))


def build(
  config: types.Config, workdir: pathlib.Path
) -> tuple[Run, types.Variables]:
  """Builds a run, and logs what it is made of.

  Args:
    config: the run's.
    workdir: its directory.

  Returns:
    The run, and the student's initial variables.
  """
  checks.check_config(config)
  checks.check_devices(config)
  logging.info('config: %s', describe(config))
  logging.info('image sizes: %s', image_size.describe(config.data))
  mesh = parallel.make_mesh(config.devices or None)
  data = data_sets.load(config)
  for line in data_sets.describe(data):
    logging.info('%s', line)
  for line in data_sets.oddities(data):
    logging.warning('%s', line)
  num_classes = len(data.source.class_names)
  size = _image_size(config, data)
  with once.reading_once():
    network = models.build(config, num_classes)
    student, frozen = start_networks(config, network, num_classes, size)
    origin = models.provenance(config)
    warm_start.check_classes(config, data.source.class_names, origin)
    _log_network(config, student, num_classes, size)
  if origin:
    logging.info('%s', origin)
  if frozen is not None and network.reference is not None:
    file = reference.importer(config.model)
    logging.info('the frozen network: %s', weights_lib.provenance(file))
  _log_devices(mesh)
  student, base = adaptation.start(config, workdir, student)
  method = _method(config, data)
  recipe = recipe_lib.make(config, num_classes, network, student.params, method)
  for line in _never_reached(config, recipe.method):
    logging.warning('%s', line)
  # Each process has loaded the same; host arrays become arrays everywhere.
  frozen = jax.device_put(jax.device_get(frozen), parallel.replicated(mesh))
  run = Run(config, workdir, mesh, data, recipe, frozen, origin, base)
  return run, student


def _never_reached(config: types.Config, method: types.Method) -> Iterator[str]:
  """Yields lines on what begins after the end of a run that was shortened."""
  steps, warmup = config.steps, config.schedule.warmup_steps
  if not steps or config.rounds:
    return
  if warmup >= steps:
    yield (
      f'config.schedule.warmup_steps={warmup}: the learning rate does not '
      f'reach {config.schedule.learning_rate:g} '
      f'in the {words.counted(steps, "step")} of the run'
    )
  late = [start for start in method.starts if start >= steps]
  if late:
    yield (
      f'config.method: a part of {methods.full_name(config.method)} begins at '
      f'step {late[0]} and has no effect in the '
      f'{words.counted(steps, "step")} of this run'
    )


def _method(config: types.Config, data: data_sets.Data):
  """Returns `config.method` with its class weights as numbers."""
  method = class_weights.resolved(config.method, data.source.class_pixels)
  if method is not config.method:
    logging.info(
      'class weights %s: %s',
      tuple(config.method.class_weights),
      ', '.join(
        f'{name} {weight:.3g}'
        for name, weight in zip(data.source.class_names, method.class_weights)
      ),
    )
  return method


def describe(config: types.Config) -> str:
  """Returns a line: method, length and batch of a run."""
  batch = config.batch
  steps = words.counted(config.steps, 'step')
  if not config.steps:  # the patches determine the number
    steps = f'{config.rounds.epochs} epochs a round over its patches in steps'
  groups = f'{batch.groups} x ' if batch.groups > 1 else ''
  return (
    f'{methods.full_name(config.method)}, {steps} of {groups}'
    f'{words.counted(batch.group_size, "image")} per domain, '
    f'seed {config.seed}'
  )


def _log_network(
  config: types.Config,
  student: types.Variables,
  num_classes: int,
  size: tuple[int, int],
) -> None:
  """Logs the size of the network, and where its variables come from."""
  count = adaptation.count(student)
  logging.info(
    'network: %s, %d classes, %s parameters, %s, matmul precision %s',
    config.model.name,
    num_classes,
    f'{count:,}',
    config.model.dtype,
    models.precision(config),
  )
  if 'attention' in config.model:
    logging.info('attention: %s', attention.describe(config.model))
  for parts, source in models.origin(config, num_classes, student, size):
    logging.info('initial weights of %s: %s', parts, source)


def _log_devices(mesh: Mesh) -> None:
  device = mesh.devices.flat[0]
  kind = device.device_kind
  logging.info(
    'devices: %d x %s, processes: %d',
    mesh.size,
    kind if kind == device.platform else f'{kind} ({device.platform})',
    jax.process_count(),
  )
