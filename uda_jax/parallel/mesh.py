"""The mesh of devices, shardings, and host arrays to global arrays."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from uda_jax import types

# The one axis: groups (the papers' batches) are spread over it.
DATA = 'data'
# Values of config.parallel.shard; see `state_sharding`.
SHARDS = ('none', 'optimizer', 'all')
# Numbers of an array below which all devices hold it: it would cost a message
# of its own.
_LEAST_DIVIDED = 2048


def make_mesh(num_devices: int | None = None) -> Mesh:
  """Returns the one-axis mesh over all devices (or the first `num_devices`)."""
  devices = np.array(jax.devices()[:num_devices])
  # jax.make_mesh defaults to Explicit axes, under which ordinary loss code
  # (sorts, gathers) raises sharding errors.
  return Mesh(devices, (DATA,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of arrays that every device holds whole."""
  return NamedSharding(mesh, P())


def by_group(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of arrays whose first axis counts groups."""
  return NamedSharding(mesh, P(DATA))


def check_groups(groups: int, mesh: Mesh, accumulate: int = 1) -> None:
  """Raises ValueError unless the devices get equally many groups."""
  unit = mesh.size * accumulate
  if groups % unit:
    fits = sorted(
      {max(unit, groups - groups % unit), groups + unit - groups % unit}
    )
    raise ValueError(
      f'config.batch.groups: expected a multiple of {unit} '
      f'({mesh.size} devices x batch.accumulate {accumulate}), got {groups}; '
      f'use config.batch.groups={" or ".join(map(str, fits))}, which trains '
      'on more images a step, or fewer devices with config.devices=N'
    )


def to_global(batch: types.PyTree, mesh: Mesh) -> types.PyTree:
  """Makes global arrays, sharded by group, from this process's groups.

  Args:
    batch: tree of host arrays [local groups, ...].
    mesh: the mesh; process p's devices hold the p-th share of the groups.

  Returns:
    The same tree of global arrays [groups, ...].
  """
  sharding = by_group(mesh)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, x), batch
  )


def place_rows(
  rows: np.ndarray, mesh: Mesh | None, *, filling: int = 0
) -> jax.Array:
  """Spreads this process's rows over its devices, padded to fit.

  Args:
    rows: [B, ...], B the same in all processes.
    mesh: None: the one device of one process, without padding.
    filling: the value of the padding.
  """
  if mesh is None:
    return jnp.asarray(rows)
  missing = -len(rows) % mesh.local_mesh.size
  widths = [(0, missing)] + [(0, 0)] * (rows.ndim - 1)
  return to_global(np.pad(rows, widths, constant_values=filling), mesh)


def state_sharding(
  state: types.TrainState, mesh: Mesh, shard: str = 'none'
) -> types.TrainState:
  """Returns the shardings of a train state.

  Args:
    state: arrays, or their shapes.
    mesh: the devices.
    shard: what is divided over the devices, of `SHARDS`: 'none', each holds
      everything but its groups' `method_state`; 'optimizer', the optimizer's
      state and the teacher; 'all', the student as well.
  """
  divided = {
    'none': (),
    'optimizer': ('opt_state', 'teacher'),
    'all': ('opt_state', 'teacher', 'student'),
  }[shard]
  shardings = jax.tree.map(lambda _: replicated(mesh), state)
  groups = jax.tree.map(lambda _: by_group(mesh), state.method_state)
  return dataclasses.replace(
    shardings,
    method_state=groups,
    **{
      name: jax.tree.map(lambda x: _divided(x, mesh), getattr(state, name))
      for name in divided
    },
  )


def _divided(array: Any, mesh: Mesh) -> NamedSharding:
  """Returns the sharding of an array along its longest axis that divides."""
  axes = [i for i, n in enumerate(array.shape) if n % mesh.size == 0]
  if mesh.size == 1 or not axes or math.prod(array.shape) < _LEAST_DIVIDED:
    return replicated(mesh)
  axis = max(axes, key=lambda i: array.shape[i])
  return NamedSharding(mesh, P(*[None] * axis, DATA))
