"""Prepares the data of a run, and measures what its parts take."""

from __future__ import annotations

import itertools
import pathlib
import time
from typing import Any

from absl import logging
import jax
import numpy as np

from uda_jax import parallel
from uda_jax import types
from uda_jax.adapt import budget
from uda_jax.evaluate import scoring
from uda_jax.runs import compile_cache
from uda_jax.train import programs as programs_lib
from uda_jax.train import setup
from uda_jax.train import state as state_lib

# Steps before the clock starts, and until it stops.
_WARM_UP, _STEPS, _SECONDS = 2, 5, 5.0
_MOST_STEPS = 50
# Images of which the evaluation is measured.
_IMAGES = 8
# Seconds to write the pictures of a prediction, by megapixel.
_WRITING = 0.4


def cost(config: types.Config, workdir: pathlib.Path) -> budget.Cost:
  """Measures the first steps and a small evaluation of a run.

  Nothing is written but prepared data and the compile cache.

  Args:
    config: of the run.
    workdir: its directory.
  """
  during = _during_training(config)
  config = config.copy_and_resolve_references()
  # Batches for the measurement; the compiled program has any number of steps.
  config.steps = max(config.steps, _MOST_STEPS)
  run, student = setup.build(config, workdir)
  with compile_cache.using(config.compile_cache) as cache:
    batches = setup.batches(run, 0)
    first = next(batches)
    state = state_lib.fresh(run, student, first)
    batches = itertools.chain([first], batches)
    _train_step(run, cache, state, first)
    # Again, as training will find it in the cache.
    start = time.monotonic()
    train_step = _train_step(run, cache, state, first)
    start_seconds = time.monotonic() - start
    step, state = _step_seconds(run, train_step, state, batches)
    labeled, free = _evaluation_seconds(run, state)
  data, block = run.data, config.eval
  num_free = min(block.label_free.num_images, len(data.target.image_paths))
  pixels = float(np.mean(data.target.heights * data.target.widths)) / 1e6
  found = budget.Cost(
    start=2 * start_seconds + 5,
    step=step,
    evaluation=labeled * len(data.evaluation.image_paths) + free * num_free,
    labeled=labeled,
    evaluations=1 + bool(config.teacher.use) + during,
    prediction=labeled + _WRITING * pixels,
  )
  logging.info(
    'measured %s: %.2fs a step, %.0fs an evaluation, %.2fs a prediction',
    config.method.name,
    found.step,
    found.evaluation,
    found.prediction,
  )
  return found


def _during_training(config: types.Config) -> int:
  """Returns the number of evaluations before the last one."""
  every = config.eval.every
  return max(0, (config.steps - 1) // every) if every else 0


def _train_step(run: setup.Run, cache, state, batch):
  """Compiles the train step, or reads it from the cache."""
  programs = programs_lib.Programs(run, cache)
  return programs.train_step(state, parallel.to_global(batch, run.mesh), 0)


def _step_seconds(run, train_step, state, batches) -> tuple[float, Any]:
  """Returns the mean seconds of a step, batches included, and the state."""
  start = time.monotonic()
  for number in range(_MOST_STEPS):
    if number == _WARM_UP:
      start = time.monotonic()
    state, metrics = train_step(
      state, parallel.to_global(next(batches), run.mesh), run.frozen
    )
    jax.block_until_ready(metrics)
    done, spent = number + 1 - _WARM_UP, time.monotonic() - start
    if done >= _STEPS and spent >= _SECONDS:
      break
  return spent / done, state


def _evaluation_seconds(run: setup.Run, state) -> tuple[float, float]:
  """Returns the seconds of an image with labels, and of one without."""
  config = run.config.copy_and_resolve_references()
  config.eval.label_free.num_images = _IMAGES
  few = scoring.spread(run.data.evaluation, _IMAGES)
  network, mesh = run.recipe.network, run.mesh
  teacher = run.config.eval.network == 'teacher'
  variables, other = state.student, state.teacher
  if teacher:
    variables, other = other, variables
  predict = scoring.make_predict(config, network, mesh)
  labeled = scoring.make_labeled(config, predict, few).score
  free = scoring.make_label_free(
    config,
    network,
    run.data.target,
    mesh,
    class_pixels=run.data.source.class_pixels.sum(0),
  )
  seconds = []
  for score, count in (
    (lambda: labeled(variables), len(few.image_paths)),
    (
      lambda: free(variables, other),
      min(_IMAGES, len(run.data.target.image_paths)),
    ),
  ):
    score()  # compiles
    start = time.monotonic()
    score()
    seconds.append((time.monotonic() - start) / count)
  return seconds[0], seconds[1]
