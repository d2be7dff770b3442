"""The loop: build, restore, step, write, evaluate, save; no maths."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
import dataclasses
import pathlib
from typing import Any, NamedTuple

from absl import logging
import jax
from jax.sharding import Mesh
import numpy as np

from uda_jax import checkpoint
from uda_jax import evaluate
from uda_jax import methods
from uda_jax import models
from uda_jax import optim
from uda_jax import parallel
from uda_jax import rng
from uda_jax import state as state_lib
from uda_jax import step as step_lib
from uda_jax import writers
from uda_jax.data import datasets
from uda_jax.data import pipeline


class Preempted(Exception):
  """The run was asked to stop; everything is saved."""


class TrainingFailed(Exception):
  """The loss or the gradient stayed non-finite."""


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
  recipe: step_lib.Recipe


def load_data(config) -> Data:
  """Prepares (once, on the first process) and reads the manifests."""
  if jax.process_index() == 0:
    data = _load_data(config)
  parallel.barrier('data is prepared')
  return data if jax.process_index() == 0 else _load_data(config)


def _load_data(config) -> Data:
  load = lambda name, labels: datasets.load(
      config.data[name], root=config.data.root, cache_dir=config.data.cache_dir,
      field=f'config.data.{name}', labels=labels)
  data = Data(load('source', True), load('target', False),
              load('evaluation', True))
  expected = data.source.class_names
  if data.evaluation.class_names != expected:
    raise ValueError(
        'config.data.evaluation.class_names: expected the classes of '
        f'config.data.source {expected}, got {data.evaluation.class_names}')
  return data


def make_recipe(config, num_classes: int, network: state_lib.Network,
                params: state_lib.PyTree) -> step_lib.Recipe:
  """Makes the method, the optimiser and the rules of the teacher."""
  batch = config.batch
  factors = {'none': 1.0, 'linear': batch.groups, 'sqrt': batch.groups ** 0.5}
  if batch.scale_learning_rate not in factors:
    raise ValueError(
        'config.batch.scale_learning_rate: expected one of '
        f'{sorted(factors)}, got {batch.scale_learning_rate!r}')
  factor = factors[batch.scale_learning_rate]
  rule = config.teacher
  return step_lib.Recipe(
      method=methods.make(config.method, num_classes),
      network=network,
      optimizer=optim.make(config.optim, params),
      learning_rate=lambda state: factor * optim.learning_rate(
          config.schedule, state),
      teacher=step_lib.TeacherRule(rule.decay, rule.ramp,
                                   rule.copy_stats_every) if rule.use else None,
      frozen=lambda params: optim.match(
          params, tuple((p, True) for p in config.optim.frozen), False),
      accumulate=batch.accumulate)


def batches(run: Run, first_step: int) -> Iterator[state_lib.Batch]:
  """This process's share of the batches from `first_step` to the end."""
  config = run.config
  return pipeline.train_batches(
      config.data, seed=config.seed, first_step=first_step,
      num_steps=config.steps, groups=config.batch.groups,
      group_size=config.batch.group_size,
      process_index=jax.process_index(), process_count=jax.process_count(),
      source=run.data.source, target=run.data.target)


def abstract_state(run: Run, student, batch) -> state_lib.TrainState:
  """Shapes and shardings of the train state, as a restore wants them."""
  shapes = jax.eval_shape(
      lambda net, groups: _init(run, net, groups), student, batch)
  return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      shapes, parallel.state_sharding(shapes, run.mesh))


def _init(run: Run, student, batch) -> state_lib.TrainState:
  return step_lib.init_state(
      run.recipe, student, jax.random.key(run.config.seed), batch,
      num_steps=run.config.steps)


def start_network(config, network) -> state_lib.Net:
  """Fresh variables (pretrained where the model says so), or another run's."""
  key = rng.stream(jax.random.key(config.seed), 'network')
  net = network.init(key, tuple(config.data.crop_size))
  warm = config.warm_start
  if warm.workdir:
    net = checkpoint.load_net(pathlib.Path(warm.workdir), warm.network, net)
    logging.info('warm start: %s of %s', warm.network, warm.workdir)
  return net


def build(config, workdir: pathlib.Path) -> tuple[Run, state_lib.Net]:
  """Builds everything the loop needs, and the network it starts from."""
  mesh = parallel.make_mesh(config.devices or None)
  parallel.check_groups(config.batch.groups, mesh, config.batch.accumulate)
  data = load_data(config)
  num_classes = len(data.source.class_names)
  network = models.build(config, num_classes)
  student = start_network(config, network)
  recipe = make_recipe(config, num_classes, network, student.params)
  return Run(config, workdir, mesh, data, recipe), student


def _check_finite(metrics: dict[str, jax.Array], limit: int, step: int) -> None:
  """Raises after `limit` non-finite steps in a row, naming the bad terms."""
  if int(metrics['nonfinite']) < limit:
    return
  bad = [name for name, value in metrics.items() if not np.isfinite(value)]
  raise TrainingFailed(
      f'step {step}: the loss or the gradient was not finite for {limit} '
      f'steps in a row (config.log.max_nonfinite); not finite: '
      f'{", ".join(bad)}. Nothing was updated in these steps; the last '
      'checkpoint is good. Try a lower config.schedule.learning_rate.')


def _loop(run: Run, state, saved: checkpoint.Checkpoints,
          writer: writers.Writer) -> state_lib.TrainState:
  """Steps from the state's step to the end; returns the last state.

  The order matters: a checkpoint is asked for after every step, so that a
  preemption notice that all processes share is acted on by all at once.
  """
  config, starts = run.config, run.recipe.method.starts
  compiled = {}
  previous = None
  step = int(state.step)
  for batch in batches(run, step):
    batch = parallel.to_global(batch, run.mesh)
    phase = bisect.bisect_right(starts, step)
    if phase not in compiled:
      compiled[phase] = (
          step_lib.make_train_step(run.recipe, run.mesh, config.batch.groups,
                                   phase=phase),
          step_lib.make_panels(run.recipe, phase=phase))
    train_step, panels = compiled[phase]
    if config.log.panels_every and step % config.log.panels_every == 0:
      writer.panels(step, panels(state, batch, run.frozen))
    state, metrics = train_step(state, batch, run.frozen)
    step += 1
    # One step late, so that the devices never wait for the host.
    if previous is not None:
      _check_finite(previous, config.log.max_nonfinite, step - 1)
    previous = metrics
    writer.step(step, metrics)
    if config.eval.every and step % config.eval.every == 0:
      evaluate_and_keep(run, state, step, saved, writer)
    saved.save(step, state)
    if saved.reached_preemption(step):
      saved.save(step, state, force=True)
      saved.wait()
      raise Preempted(f'stopped at step {step}, saved in {run.workdir}; the '
                      'same command resumes')
  if previous is not None:
    _check_finite(previous, config.log.max_nonfinite, step)
  return state
