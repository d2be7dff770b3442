"""Devices and processes: the mesh, shardings, host arrays to global arrays."""

from __future__ import annotations

import dataclasses
import socket

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from uda_jax import types

# The one axis: groups (the papers' batches) are spread over it.
DATA = 'data'
_WEEK = 7 * 24 * 3600


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
      f'use batch.groups={" or ".join(map(str, fits))}, or fewer devices '
      'with devices=N'
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


def state_sharding(state: types.TrainState, mesh: Mesh) -> types.TrainState:
  """Returns the shardings of a train state: replicated but for method_state."""
  shardings = jax.tree.map(lambda _: replicated(mesh), state)
  groups = jax.tree.map(lambda _: by_group(mesh), state.method_state)
  return dataclasses.replace(shardings, method_state=groups)


def barrier(name: str) -> None:
  """Waits until all processes have called this."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def start_processes(
  coordinator: str = '', num_processes: int = 1, process_id: int = 0
) -> None:
  """Connects the processes of a run; called once, before any device is used.

  A single process starts the distributed runtime too, which saving on SIGTERM
  needs. On TPU pods and under Slurm or MPI JAX finds the other processes.

  Args:
    coordinator: host:port of process 0, '' to let JAX find it.
    num_processes: number of processes of the run, if `coordinator` is set.
    process_id: number of this process, from 0.
  """
  if coordinator:
    jax.distributed.initialize(coordinator, num_processes, process_id)
    return
  try:
    jax.distributed.initialize()
  except ValueError as error:
    # The message of JAX without a cluster; any other is an error.
    if 'coordinator_address should be defined' not in str(error):
      raise
    with socket.socket() as free:
      free.bind(('localhost', 0))
      port = free.getsockname()[1]
    # With the default timeout a process that was stopped (Ctrl-Z, a laptop that
    # sleeps) would be declared dead.
    jax.distributed.initialize(
      f'localhost:{port}', 1, 0, heartbeat_timeout_seconds=_WEEK
    )
