"""What a program is compiled for, and what the compiler says about it."""

from __future__ import annotations

import contextlib
from unittest import mock

from jax.experimental import topologies
from jax.sharding import AxisType, Mesh
import numpy as np

from uda_jax import parallel
from uda_jax.models import depthwise


def tpu_mesh(topology: str, num_devices: int = 1) -> Mesh:
  """A mesh of TPUs that need not be there, for compilation only.

  Args:
    topology: such as 'v5e:2x2'; needs the package libtpu.
    num_devices: how many of its chips.
  """
  described = topologies.get_topology_desc(topology, platform='tpu')
  return Mesh(np.array(described.devices[:num_devices]), (parallel.DATA,),
              axis_types=(AxisType.Auto,))


@contextlib.contextmanager
def traced_for_accelerators():
  """Has networks choose the forms of accelerators, whatever runs here."""
  with mock.patch.object(depthwise, 'default_form', lambda: 'conv'):
    yield


def name(mesh: Mesh) -> str:
  return mesh.devices.flat[0].device_kind


def network_name(config) -> str:
  """The network of a config, in short."""
  model = config.model
  parts = (model.name, model.get('encoder', ''), model.get('head', ''))
  return ' '.join(part for part in parts if part)


def memory(compiled, mesh: Mesh) -> dict[str, float]:
  """GiB of a compiled program; nothing for a CPU.

  `peak_gib` is what the compiler plans: arguments, what it computes on the way
  and results, those that overwrite an argument counted once. `activations_gib`
  is the middle part.
  """
  if mesh.devices.flat[0].platform == 'cpu':
    return {}
  stats = compiled.memory_analysis()
  peak = (stats.argument_size_in_bytes + stats.temp_size_in_bytes
          + stats.output_size_in_bytes - stats.alias_size_in_bytes)
  return dict(peak_gib=round(peak / 2**30, 3),
              activations_gib=round(stats.temp_size_in_bytes / 2**30, 3))
