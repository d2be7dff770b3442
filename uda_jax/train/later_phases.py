"""A look at the later phases of a method before the first step."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from uda_jax import types
from uda_jax.train import gradient
from uda_jax.train import setup


def check(run: setup.Run, state: types.TrainState, batch: types.Batch) -> None:
  """Traces the loss of each phase that has not begun; computes nothing.

  A phase is compiled when it begins: PiPa's patches after a sixth of a run. A
  setting that does not fit the network would stop the run only then.

  Args:
    run: the run.
    state: before its next step.
    batch: of that step.

  Raises:
    ValueError: a phase cannot run, in the method's words.
  """
  # LSE's later batches have labels, which its rounds make.
  if run.config.rounds:
    return
  one = lambda tree: jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree
  )
  group = one(batch)
  group = group._replace(
    views=_views(run.config.data.pair, batch.source.image.shape[-1])
  )
  args = (
    state.student.params,
    dataclasses.replace(state, method_state=None, opt_state=None),
    group,
    one(state.method_state),
    jnp.int32(0),
    run.frozen,
  )
  starts = run.recipe.method.starts
  for phase in range(1, len(starts) + 1):
    if starts[phase - 1] > int(state.step):
      jax.eval_shape(gradient.group_loss(run.recipe, phase), *args)


def _views(pair: Any, channels: int) -> dict[str, jax.ShapeDtypeStruct] | None:
  """Returns the shapes of `Batch.views` of one group, see `types.Batch`."""
  if not any(pair.crop_size):
    return None
  lead = (pair.group_size, 2)
  shape = jax.ShapeDtypeStruct
  return {
    'image': shape((*lead, *pair.crop_size, channels), jnp.uint8),
    'box': shape((*lead, 4), jnp.int32),
    'flipped': shape(lead, jnp.bool_),
  }
