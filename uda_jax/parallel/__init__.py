"""Devices and processes of a run."""

from uda_jax.parallel.mesh import DATA
from uda_jax.parallel.mesh import SHARDS
from uda_jax.parallel.mesh import by_group
from uda_jax.parallel.mesh import check_groups
from uda_jax.parallel.mesh import make_mesh
from uda_jax.parallel.mesh import place_rows
from uda_jax.parallel.mesh import replicated
from uda_jax.parallel.mesh import state_sharding
from uda_jax.parallel.mesh import to_global
from uda_jax.parallel.processes import EXIT_PEER
from uda_jax.parallel.processes import Agreement
from uda_jax.parallel.processes import barrier
from uda_jax.parallel.processes import check_coordinator
from uda_jax.parallel.processes import client
from uda_jax.parallel.processes import of_first
from uda_jax.parallel.processes import start_processes
from uda_jax.parallel.processes import stop_processes

__all__ = [
  'Agreement',
  'DATA',
  'EXIT_PEER',
  'SHARDS',
  'barrier',
  'by_group',
  'check_coordinator',
  'check_groups',
  'client',
  'make_mesh',
  'of_first',
  'place_rows',
  'replicated',
  'start_processes',
  'state_sharding',
  'stop_processes',
  'to_global',
]
