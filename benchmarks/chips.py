"""Accelerators that programs are compiled for, and their published rates.

Rates are the makers' peaks (data sheets of NVIDIA, Google Cloud's pages on TPU
v5e), without sparsity; a program reaches a part of them.
"""

from __future__ import annotations

from typing import NamedTuple

GPU = """
platform_name: "CUDA"
device_description_str: "{title}"
dnn_version_info {{ major: 9 minor: 10 }}
runtime_version {{ major: 12 minor: 8 patch: 0 }}
gpu_device_info {{
  cuda_compute_capability {{ major: {capability[0]} minor: {capability[1]} }}
  device_memory_size: {memory}
  memory_bandwidth: {bandwidth}
  l2_cache_size: {cache}
  clock_rate_ghz: {clock}
  core_count: {cores}
  fpus_per_core: 128
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: {threads}
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: {shared_block}
  shared_memory_per_core: {shared_core}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
}}
"""


class Chip(NamedTuple):
  """An accelerator.

  Attributes:
    memory: bytes of its memory.
    bandwidth: bytes a second between chip and memory.
    rates: operations a second of products: 'float32' in full precision,
      'default' of float32 arrays at JAX's default precision, 'bfloat16'.
    link: bytes a second that a chip sends to the others of its host or, for a
      TPU, over all its links.
    host: chips of a host; further ones are reached by `network`.
    network: bytes a second that a chip sends to other hosts.
    description: of a GPU, in the words of XLA's
      stream_executor/device_description.proto; '' for TPUs.
  """

  memory: int
  bandwidth: float
  rates: dict[str, float]
  link: float
  host: int
  network: float
  description: str = ''


def _hopper(title: str, memory: int, bandwidth: int) -> Chip:
  """An H100 or H200 SXM: 8 in a host, one 400 Gbit/s adapter each."""
  return Chip(
    memory,
    bandwidth,
    {'float32': 67e12, 'default': 494.7e12, 'bfloat16': 989.4e12},
    link=450e9,
    host=8,
    network=50e9,
    description=GPU.format(
      title=title,
      capability=(9, 0),
      memory=memory,
      bandwidth=bandwidth,
      cache=52428800,
      clock=1.98,
      cores=132,
      threads=2048,
      shared_block=232448,
      shared_core=233472,
    ),
  )


CHIPS = {
  'rtx_3090': Chip(
    25429606400,
    936e9,
    {'float32': 35.6e12, 'default': 35.6e12, 'bfloat16': 71.2e12},
    link=32e9,
    host=8,
    network=12.5e9,
    description=GPU.format(
      title='NVIDIA GeForce RTX 3090',
      capability=(8, 6),
      memory=25429606400,
      bandwidth=936000000000,
      cache=6291456,
      clock=1.695,
      cores=82,
      threads=1536,
      shared_block=101376,
      shared_core=102400,
    ),
  ),
  'h100': _hopper('NVIDIA H100 80GB HBM3', 84929347584, 3352320000000),
  'h200': _hopper('NVIDIA H200', 150110011392, 4800000000000),
  # Float32 in full precision is six passes of bfloat16. Four links of 45 GB/s
  # each way; slices of up to 256 chips have no other network.
  'v5e': Chip(
    16 * 2**30,
    819e9,
    {'float32': 197e12 / 6, 'default': 197e12, 'bfloat16': 197e12},
    link=180e9,
    host=256,
    network=180e9,
  ),
}

# The slices of TPU v5e by number of chips.
V5E_SLICES = {1: '2x2', 4: '2x2', 8: '2x4', 16: '4x4', 256: '16x16'}
