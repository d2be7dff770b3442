"""The GPUs of a process, where several processes run on one machine.

Under Slurm and Open MPI JAX gives each process the one GPU with the number of
its task, so that a single task on a node of eight GPUs trains on one of them.
Here the processes that share a machine divide all GPUs that they see there.
"""

from __future__ import annotations

from collections.abc import Sequence
import glob
import json
import os
import pathlib
import socket

# The first that is set counts; each lists the GPUs that a process may use. The
# last is how Slurm gives a job some of AMD's; the others choose of these.
_VISIBLE = (
  'CUDA_VISIBLE_DEVICES',
  'HIP_VISIBLE_DEVICES',
  'ROCR_VISIBLE_DEVICES',
)
# Set by a user, it decides: JAX reads it.
CHOSEN = 'JAX_LOCAL_DEVICE_IDS'


def machine() -> str:
  """Returns what distinguishes this machine, and the GPUs seen on it."""
  try:
    boot = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
  except OSError:
    boot = ''
  return json.dumps(
    [socket.gethostname(), boot, os.environ.get(CHOSEN, ''), *_gpus()]
  )


def _gpus() -> list[str]:
  """Returns the names of the GPUs that this process may use."""
  for name in _VISIBLE:
    if name in os.environ:
      return [gpu for gpu in os.environ[name].split(',') if gpu.strip()]
  if os.path.exists('/dev/kfd'):  # AMD's driver
    return sorted(glob.glob('/dev/dri/renderD*'))
  return sorted(glob.glob('/dev/nvidia[0-9]*'))


def share(machines: Sequence[str], process: int) -> str | None:
  """Returns the GPUs of a process, as 'jax_cuda_visible_devices' names them.

  Processes of one machine take equal shares, in order. A process that sees one
  GPU takes it: its scheduler has bound it there (Slurm's --gpus-per-task).

  Args:
    machines: `machine()` of all processes.
    process: number of the process.

  Returns:
    Numbers with commas; None for all that the process sees.
  """
  host, _, chosen, *gpus = json.loads(machines[process])
  here = [i for i, other in enumerate(machines) if other == machines[process]]
  if chosen or len(gpus) <= 1 or len(here) == 1:
    return None
  size, rest = divmod(len(gpus), len(here))
  if rest or not size:
    fits = [n for n in range(1, len(gpus) + 1) if len(gpus) % n == 0]
    raise ValueError(
      f'{host}: expected {" or ".join(map(str, fits))} processes for its '
      f'{len(gpus)} GPUs, got {len(here)}; start as many on each machine, or '
      f'choose the GPUs of each process with {CHOSEN}=0,1,...'
    )
  first = here.index(process) * size
  return ','.join(str(i) for i in range(first, first + size))
