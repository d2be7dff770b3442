"""Devices that programs are compiled for, and the compiler's report."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import os

from jax.experimental import topologies
from jax.sharding import AxisType, Mesh
import numpy as np

from benchmarks import chips
from uda_jax import flag_values
from uda_jax import parallel
from uda_jax.models import attention
from uda_jax.models import depthwise

# So that the TPU library looks for no TPU, warns of none, runs beside others.
_NO_TPU = {
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_WORKER_ID': '0',
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
}


def _gpus() -> list[str]:
  return [name for name, chip in chips.CHIPS.items() if chip.description]


def add_topology(group: argparse._ArgumentGroup) -> None:
  """Adds `--topology`."""
  group.add_argument(
    '--topology',
    default='',
    metavar='NAME',
    help='compile for this device, which need not be there, instead of running:'
    f' {", ".join(_gpus())}, or TPUs such as v5e:2x2',
  )


def add_timing(group: argparse._ArgumentGroup) -> None:
  """Adds `--dtype` and `--repeats`."""
  group.add_argument(
    '--dtype',
    choices=('float32', 'bfloat16'),
    default='float32',
    help='that the network computes in; default: float32',
  )
  group.add_argument(
    '--repeats',
    type=flag_values.at_least(1),
    default=10,
    metavar='N',
    help='passes that are timed; default: 10',
  )


def absent_mesh(topology: str, num_devices: int = 1) -> Mesh:
  """Returns a mesh of devices that may be absent, for compilation only.

  Args:
    topology: a GPU such as 'h100' (needs `jax[cuda12]`), in hosts as
      `chips.CHIPS` has them, or TPUs such as 'v5e:2x2' (needs `libtpu`).
    num_devices: how many of its chips.
  """
  if topology in _gpus():
    chip = chips.CHIPS[topology]
    hosts = -(-num_devices // chip.host)
    described = topologies.get_topology_desc(
      platform='cuda',
      target_config=chip.description,
      topology=f'1x{hosts}x{-(-num_devices // hosts)}',
    )
  else:
    for name, value in _NO_TPU.items():
      os.environ.setdefault(name, value)
    described = topologies.get_topology_desc(topology, platform='tpu')
  return Mesh(
    np.array(described.devices[:num_devices]),
    (parallel.DATA,),
    axis_types=(AxisType.Auto,),
  )


@contextlib.contextmanager
def traced_for(topology: str) -> Iterator[None]:
  """Makes networks use the operators of a device of `absent_mesh`."""
  kernel = 'cudnn' if topology in _gpus() else 'pallas'
  with depthwise.traced_as('conv'), attention.traced_as(kernel):
    yield


def name(mesh: Mesh) -> str:
  return mesh.devices.flat[0].device_kind


def network_name(config) -> str:
  """Returns the short name of a config's network."""
  model = config.model
  parts = (model.name, model.get('encoder', ''), model.get('head', ''))
  return ' '.join(part for part in parts if part)


def memory(compiled, mesh: Mesh) -> dict[str, float]:
  """Returns the GiB of a compiled program; empty for a CPU.

  `peak_gib` is what the compiler plans: arguments, what it computes on the way
  and results, those that overwrite an argument counted once. `activations_gib`
  is the middle part.
  """
  if mesh.devices.flat[0].platform == 'cpu':
    return {}
  stats = compiled.memory_analysis()
  peak = (
    stats.argument_size_in_bytes
    + stats.temp_size_in_bytes
    + stats.output_size_in_bytes
    - stats.alias_size_in_bytes
  )
  return dict(
    peak_gib=round(peak / 2**30, 3),
    activations_gib=round(stats.temp_size_in_bytes / 2**30, 3),
  )
