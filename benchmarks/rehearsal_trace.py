"""Tracing of the train steps of published configs, at full size.

Shows in half a minute a config, on any machine, that data, weight file, network
and method fit: the data are prepared and batches are cut from them, the weight
file is read and matched, and the step of each phase is traced to the program
that a compiler would get. Nothing is compiled or computed.
"""

from __future__ import annotations

import pathlib
import time
from typing import Any

import jax
import numpy as np

from uda_jax import methods
from uda_jax import models
from uda_jax import parallel
from uda_jax import types
from uda_jax.models.weights import once
from uda_jax.train import checks
from uda_jax.train import data_sets
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import setup
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib


def build(config: Any) -> tuple[setup.Run, Any, Any, int]:
  """Returns the run, shapes of its networks, and the number of tensors read."""
  checks.check_config(config)
  data = data_sets.load(config)
  num_classes = len(data.source.class_names)
  size = tuple(config.data.crop_size)
  if not any(size):
    size = tuple(config.data.source_image_size)
  with once.reading_once():
    network = models.build(config, num_classes)
    student, frozen = jax.eval_shape(
      lambda: setup.start_networks(config, network, num_classes, size)
    )
    origin = models.provenance(config)
  recipe = recipe_lib.make(config, num_classes, network, student.params)
  mesh = parallel.make_mesh(config.devices or None)
  run = setup.Run(config, pathlib.Path(), mesh, data, recipe, frozen, origin)
  return run, student, frozen, origin.loaded if origin else 0


def first_batch(run: setup.Run, phase: int) -> types.Batch:
  """Returns the first batch of a phase, cut from the data."""
  starts = (0, *run.recipe.method.starts)
  batch = next(setup.batches(run, starts[phase]))
  if run.config.rounds:
    # The patches of a round come with labels.
    target = batch.wanted_target()
    label: Any = np.zeros(target.image.shape[:-1], np.int32)
    batch = batch._replace(target=target._replace(label=label))
  return batch


def trace(config: Any) -> dict[str, Any]:
  """Traces the train step of each phase of a config.

  Args:
    config: with data and weights; its lengths are those of the published run.

  Returns:
    'method', 'tensors' read from the weight file, 'seconds' of everything;
    'phases', a list: 'batch', the shapes of source and target images, and
    'megabytes' of the program as text.
  """
  begin = time.monotonic()
  run, student, frozen, tensors = build(config)
  phases = []
  for phase in range(len(run.recipe.method.starts) + 1):
    batch = first_batch(run, phase)
    state = jax.eval_shape(
      lambda batch=batch: state_lib.init_state(
        run.recipe, student, jax.random.key(0), batch, num_steps=1
      )
    )
    step = step_lib.make_train_step(
      run.recipe, run.mesh, config.batch.groups, phase=phase
    )
    lowered = step.lower(state, batch, frozen)
    phases.append(
      {
        # The source alone has no target.
        'batch': [x.image.shape for x in (batch.source, batch.target) if x],
        'megabytes': round(len(lowered.as_text()) / 1e6, 1),
      }
    )
  return {
    'method': methods.full_name(config.method),
    'tensors': tensors,
    'phases': phases,
    'seconds': round(time.monotonic() - begin, 1),
  }
