"""The compiled train step and panels of a run, one of each per phase."""

from __future__ import annotations

import pathlib
from typing import Any

from absl import logging
import jax

from uda_jax import types
from uda_jax.runs import compile_cache
from uda_jax.train import setup
from uda_jax.train import step as step_lib


class Programs:
  """Compiles a program when it is first asked for, and logs how long it took.

  A phase of a method (`Method.starts`) has programs of its own; so have batches
  of other shapes.
  """

  def __init__(self, run: setup.Run, cache: pathlib.Path | None):
    """Compiles nothing yet.

    Args:
      run: the run.
      cache: folder of the compile cache, None without one.
    """
    self._run = run
    self._cache = cache
    self._made: dict[Any, jax.stages.Compiled] = {}

  def train_step(
    self, state: types.TrainState, batch: types.Batch, phase: int
  ) -> jax.stages.Compiled:
    """Returns the compiled `step.make_train_step`."""
    run = self._run
    return self._get(
      'the train step',
      lambda: step_lib.make_train_step(
        run.recipe,
        run.mesh,
        run.config.batch.groups,
        phase=phase,
        shard=run.config.parallel.shard,
      ),
      state,
      batch,
      phase,
    )

  def panels(
    self, state: types.TrainState, batch: types.Batch, phase: int
  ) -> jax.stages.Compiled:
    """Returns the compiled `step.make_panels`."""
    run = self._run
    return self._get(
      'the panels',
      lambda: step_lib.make_panels(run.recipe, run.mesh, phase=phase),
      state,
      batch,
      phase,
    )

  def _get(self, name, make, state, batch, phase) -> jax.stages.Compiled:
    shapes = tuple((x.shape, x.dtype) for x in jax.tree.leaves(batch))
    key = name, phase, jax.tree.structure(batch), shapes
    if key not in self._made:
      self._made[key] = self._compile(name, make(), state, batch, phase)
    return self._made[key]

  def _compile(self, name, function, state, batch, phase):
    if phase:
      name += f' from step {self._run.recipe.method.starts[phase - 1]}'
    compiler = compile_cache.Compiler(
      self._cache, [name, phase, *self._facts(batch)]
    )
    expected = compiler.expected() or (
      'seconds for a small network, minutes for a large one'
    )
    logging.info('compiling %s (once; %s)', name, expected)
    made = compiler.compile(function, state, batch, self._run.frozen)
    logging.info('%s', made)
    return made.function

  def _facts(self, batch: types.Batch) -> list[Any]:
    """Returns what the time to compile depends on."""
    config, mesh = self._run.config, self._run.mesh
    blocks = {
      name: config[name].to_json_best_effort()
      for name in ('model', 'method', 'optim', 'batch', 'parallel')
    }
    shapes = [list(x.shape) for x in jax.tree.leaves(batch)]
    return [blocks, shapes, mesh.size, mesh.devices.flat[0].device_kind]
