"""Devices that programs are compiled for, and the compiler's report."""

from __future__ import annotations

import argparse
import contextlib

from jax.experimental import topologies
from jax.sharding import AxisType, Mesh
import numpy as np

from uda_jax import cli
from uda_jax import parallel
from uda_jax.models import depthwise

# Cards that programs are compiled for without having one, in the words of XLA's
# stream_executor/device_description.proto.
_GPUS = {
  'rtx_3090': """
platform_name: "CUDA"
device_description_str: "NVIDIA GeForce RTX 3090"
dnn_version_info { major: 9 minor: 10 }
runtime_version { major: 12 minor: 8 patch: 0 }
gpu_device_info {
  cuda_compute_capability { major: 8 minor: 6 }
  device_memory_size: 25429606400
  memory_bandwidth: 936000000000
  l2_cache_size: 6291456
  clock_rate_ghz: 1.695
  core_count: 82
  fpus_per_core: 128
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 1536
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 101376
  shared_memory_per_core: 102400
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
}
"""
}


def add_topology(group: argparse._ArgumentGroup) -> None:
  """Adds `--topology`."""
  group.add_argument(
    '--topology',
    default='',
    metavar='NAME',
    help='compile for this device, which need not be there, instead of running:'
    ' rtx_3090, or TPUs such as v5e:2x2',
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
    type=cli.at_least(1),
    default=10,
    metavar='N',
    help='passes that are timed; default: 10',
  )


def absent_mesh(topology: str, num_devices: int = 1) -> Mesh:
  """Returns a mesh of devices that may be absent, for compilation only.

  Args:
    topology: a GPU, 'rtx_3090' (needs `jax[cuda12]`), or TPUs such as
      'v5e:2x2' (needs `libtpu`).
    num_devices: how many of its chips.
  """
  if topology in _GPUS:
    described = topologies.get_topology_desc(
      platform='cuda', target_config=_GPUS[topology], topology='1x1x1'
    )
  else:
    described = topologies.get_topology_desc(topology, platform='tpu')
  return Mesh(
    np.array(described.devices[:num_devices]),
    (parallel.DATA,),
    axis_types=(AxisType.Auto,),
  )


def traced_for_accelerators() -> contextlib.AbstractContextManager[None]:
  """Makes networks use the operators of accelerators, on any machine."""
  return depthwise.traced_as('conv')


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
