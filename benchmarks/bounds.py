"""Lower bounds on the time of a program on a chip, from what it has to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import chips


def seconds(
  chip: chips.Chip,
  *,
  flops: float,
  traffic: float,
  precision: str,
  reduced: float = 0.0,
  devices: int = 1,
) -> dict[str, float]:
  """Returns seconds by what bounds them: 'compute', 'memory', 'network'.

  The largest is a lower bound of the program's time; a program that overlaps
  nothing takes their sum.

  Args:
    chip: of which there are `devices`.
    flops: operations of products and convolutions of one device.
    traffic: bytes that one device moves between chip and memory.
    precision: key of `chip.rates`.
    reduced: bytes that are summed over all devices.
    devices: their number.
  """
  return dict(
    compute=flops / chip.rates[precision],
    memory=traffic / chip.bandwidth,
    network=all_reduce(chip, reduced, devices),
  )


def all_reduce(chip: chips.Chip, size: float, devices: int) -> float:
  """Returns the least seconds of a sum of `size` bytes over all devices.

  A ring inside each host, and one over the hosts for each chip's share of the
  bytes; the slower one counts.

  Args:
    chip: the kind of chip.
    size: bytes of the summed arrays.
    devices: their number; hosts are full.
  """
  local = min(devices, chip.host)
  hosts = -(-devices // chip.host)
  ring = lambda count: 2 * (count - 1) / count
  return max(
    ring(local) * size / chip.link,
    ring(hosts) * size / local / chip.network,
  )


def precision(model: Mapping[str, Any]) -> str:
  """Returns the key of `chips.Chip.rates` that holds for a network.

  Args:
    model: `config.model`.
  """
  if model['dtype'] == 'bfloat16':
    return 'bfloat16'
  full = model['matmul_precision'] in ('highest', 'float32')
  return 'float32' if full else 'default'


def limit(bounds: Mapping[str, float]) -> str:
  """Returns which bound is the largest."""
  return max(bounds, key=lambda name: bounds[name])
