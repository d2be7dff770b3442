"""From a config to what the loop and other commands need."""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib
from typing import Any, NamedTuple

from absl import logging
import jax
from jax.sharding import Mesh

from uda_jax import models
from uda_jax import parallel
from uda_jax import rng
from uda_jax import types
from uda_jax.data import datasets
from uda_jax.data import image_size
from uda_jax.data import pipeline
from uda_jax.runs import checkpoint
from uda_jax.train import checks
from uda_jax.train import recipe as recipe_lib

_ENDLESS = 2**31


class Data(NamedTuple):
  """The manifests of a run."""

  source: Any
  target: Any
  evaluation: Any


class Run(NamedTuple):
  """What the loop needs, built from the config."""

  config: Any
  workdir: pathlib.Path
  mesh: Mesh
  data: Data
  recipe: recipe_lib.Recipe
  frozen: types.Variables | None = None


def load_data(config) -> Data:
  """Prepares (once, on the first process) and reads the manifests."""
  if jax.process_index() == 0:
    data = _load_data(config)
  parallel.barrier('data is prepared')
  return data if jax.process_index() == 0 else _load_data(config)


def _load_data(config) -> Data:
  data = Data(
    **{name: datasets.load_part(config.data, name) for name in datasets.PARTS}
  )
  expected = data.source.class_names
  if data.evaluation.class_names != expected:
    raise ValueError(
      'config.data.evaluation.class_names: expected the classes of '
      f'config.data.source {expected}, got {data.evaluation.class_names}'
    )
  return data


def batches(
  run: Run, first_step: int, *, read_target: bool | None = None
) -> Iterator[types.Batch]:
  """This process's share of the batches from `first_step` to the end.

  Without an end, where rounds decide how many steps there will be. Target
  images are read if the method uses them, or as `read_target` says.
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
    read_target=read_target,
  )


def adapted_statistics(
  run: Run, variables: types.Variables, count: int
) -> types.Variables:
  """The network with running statistics of the target's training images.

  What is known as AdaBN (arXiv 1603.04779).

  Args:
    run: any.
    variables: the network, as its train state has it.
    count: batches of training whose target images are looked at.

  Returns:
    The same parameters with other statistics, which every device holds whole.
  """
  network = run.recipe.network

  # Replicated, or other processes' parts could not be read here.
  @functools.partial(jax.jit, out_shardings=parallel.replicated(run.mesh))
  def update(stats, images):
    images = network.normalize(images.reshape(-1, *images.shape[2:]))
    return network.forward(variables.params, stats, images)[1]

  stats = variables.batch_stats
  for _, batch in zip(range(count), batches(run, 0, read_target=True)):
    stats = update(stats, parallel.to_global(batch, run.mesh).target.image)
  return variables._replace(batch_stats=stats)


def start_networks(
  config, network: types.Network, image_size: tuple[int, int]
) -> tuple[types.Variables, types.Variables | None]:
  """What the student starts from, and the network that stays as it was.

  The first has fresh variables (pretrained where the model says so), or
  another run's; the second is the pretrained network, for methods whose
  feature distance looks at it, else None.
  """
  key = rng.stream(jax.random.key(config.seed), 'network')
  pretrained = variables = network.init(key, image_size)
  warm = config.warm_start
  if warm.workdir:
    variables = checkpoint.load_variables(
      pathlib.Path(warm.workdir), warm.network, variables
    )
    logging.info('warm start: %s of %s', warm.network, warm.workdir)
  if not config.method.get('weight_distance', 0.0):
    return variables, None
  if not config.model.weights:
    raise ValueError(
      'config.method.weight_distance: the feature distance is to a '
      'pretrained encoder, expected a file in config.model.weights, got '
      "''; 0 switches the distance off."
    )
  return variables, pretrained


def _image_size(config, data: Data) -> tuple[int, int]:
  """The size of a source image as training sees it."""
  source = data.source
  sizes = (
    config.data.crop_size,
    config.data.source_image_size,
    (int(source.heights[0]), int(source.widths[0])),
  )
  return next(tuple(size) for size in sizes if any(size))


def build(config, workdir: pathlib.Path) -> tuple[Run, types.Variables]:
  """Builds everything the loop needs, and the network it starts from."""
  checks.check_config(config)
  checks.check_devices(config)
  mesh = parallel.make_mesh(config.devices or None)
  logging.info('image sizes: %s', image_size.describe(config.data))
  data = load_data(config)
  num_classes = len(data.source.class_names)
  network = models.build(config, num_classes)
  student, frozen = start_networks(config, network, _image_size(config, data))
  recipe = recipe_lib.make(config, num_classes, network, student.params)
  # Each process has loaded the same; host arrays become arrays everywhere.
  frozen = jax.device_put(jax.device_get(frozen), parallel.replicated(mesh))
  return Run(config, workdir, mesh, data, recipe, frozen), student
