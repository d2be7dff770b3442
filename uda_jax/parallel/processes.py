"""The processes of a run: start, end, waiting, common decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import itertools
import json
import os
import re
import threading
from typing import Any

import jax
from jax._src import clusters
from jax._src import distributed
from jax.experimental import multihost_utils

from uda_jax.parallel import exchange
from uda_jax.parallel import local_gpus

# BSD's EX_PROTOCOL: another process of the run is gone, or never came.
EXIT_PEER = 76
# Seconds after which JAX aborts a process whose peers are silent:
# `uda_jax.train.peers` ends it long before, with a line.
_JAX_HEARTBEAT = 1800
# Points that a process may be ahead of another; see `Agreement`.
_LEAD = 4
_agreements = itertools.count()
# By which JAX recognizes Open MPI before version 5.
_OPEN_MPI_4 = 'OMPI_MCA_orte_hnp_uri'
# How mpirun of Open MPI 5, and MPICH, name the number of processes, and each.
_RANKS = {
  'OMPI_COMM_WORLD_SIZE': 'OMPI_COMM_WORLD_RANK',
  'PMI_SIZE': 'PMI_RANK',
}


def barrier(name: str) -> None:
  """Waits until all processes have called this."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def of_first(look: Callable[[], Any]) -> Any:
  """Returns what process 0 finds, to all processes, which all call this.

  For what is read of a directory and decides what all do next: a network file
  system shows the files of another machine up to a minute late.

  Args:
    look: called in process 0 alone; returns JSON values.
  """
  found = json.dumps(None if jax.process_index() else look())
  return json.loads(exchange.texts(found)[0])


def start_processes(
  coordinator: str = '',
  num_processes: int = 1,
  process_id: int = 0,
  *,
  timeout: int = 300,
  through: Callable[[str], str] = lambda address: address,
) -> None:
  """Connects the processes of a run; called once, before any device is used.

  On TPU pods and under Slurm or MPI JAX finds the other processes. Those of
  one machine divide its GPUs, see `local_gpus`. If some are missing after
  `timeout`, the process ends with one line and `EXIT_PEER`.

  Args:
    coordinator: host:port of process 0, '' to let JAX find it.
    num_processes: number of processes of the run, if `coordinator` is set.
    process_id: number of this process, from 0.
    timeout: seconds that processes wait for each other.
    through: f(coordinator) -> the address to reach it at, on all processes but
      the first.
  """
  check_coordinator(coordinator, num_processes, process_id)
  # It would wait for SIGTERM, and orbax ask it with the numbers of old steps.
  jax.config.update('jax_enable_preemption_service', False)
  found = (
    (coordinator, num_processes, process_id) if coordinator else _found(timeout)
  )
  if found is None:
    return
  # [] is all devices: JAX's choice is the device of the task's number.
  local: list[int] | None = None if local_gpus.CHOSEN in os.environ else []
  address, count, number = found
  with _given_up_after(timeout, address, number):
    jax.distributed.initialize(
      through(address) if number else address,
      count,
      number,
      local_device_ids=local,
      # JAX would abort the process with a stack of its C++ code.
      initialization_timeout=timeout + 60,
      heartbeat_timeout_seconds=_JAX_HEARTBEAT,
    )
  _divide_gpus(timeout)


def check_coordinator(
  coordinator: str, num_processes: int, process_id: int
) -> None:
  """Raises ValueError for processes that cannot find each other.

  Args:
    coordinator: see `start_processes`.
    num_processes: likewise.
    process_id: likewise.
  """
  if not coordinator and (num_processes, process_id) != (1, 0):
    raise ValueError(
      '--coordinator: expected host:port of process 0 with --num_processes and '
      '--process_id, got none; each process would train alone'
    )
  if coordinator and not re.fullmatch(r'.+:\d+', coordinator):
    raise ValueError(
      f'--coordinator: expected HOST:PORT of process 0, got {coordinator!r}'
    )
  if num_processes < 1 or not 0 <= process_id < num_processes:
    raise ValueError(
      '--num_processes, --process_id: expected N of at least 1 and numbers '
      f'from 0 to N - 1, got {num_processes} and {process_id}'
    )


def _found(timeout: int) -> tuple[str, int, int] | None:
  """Returns coordinator, number of processes and of this one, by JAX.

  Outside of a cluster that JAX knows: None. Also in a shell that is a Slurm
  step of its own (salloc, srun --pty): its SLURM_NTASKS are those of the job.
  """
  alone = os.environ.get('SLURM_STEP_NUM_TASKS') == '1'
  if alone and _OPEN_MPI_4 not in os.environ:
    _check_mpi(1)
    return None
  address, count, number, _ = (
    clusters.ClusterEnv.auto_detect_unset_distributed_params(
      os.environ.get('JAX_COORDINATOR_ADDRESS'), None, None, [], None, timeout
    )
  )
  _check_mpi(count or 1)
  if address is None or count is None or number is None:
    return None
  return address, count, number


def _check_mpi(found: int) -> None:
  """Raises ValueError if an MPI has started other than the processes found."""
  for size, rank in _RANKS.items():
    count = os.environ.get(size, '')
    if count.isdecimal() and int(count) > 1 and int(count) != found:
      raise ValueError(
        '--coordinator: expected host:port of process 0, got none: mpirun has '
        f'started {count} processes ({size}), of which JAX finds {found}. Give '
        f'each the flags --coordinator=HOST:PORT --num_processes={count} '
        f'--process_id=${rank}, see docs/clusters.md; for runs of their own '
        f'unset {size}'
      )


@contextlib.contextmanager
def _given_up_after(seconds: int, address: str, number: int) -> Iterator[None]:
  """Ends the process unless what is inside is done in time."""

  def end():
    message = (
      f'error: --start_timeout: expected all processes within {seconds} s, '
      f'some are missing; process {number} waited at {address}. '
      'Start all of them, with a coordinator that each can reach\n'
    )
    with contextlib.suppress(OSError):  # stderr may be gone
      os.write(2, message.encode())
    os._exit(EXIT_PEER)

  # JAX waits outside of Python, where no exception reaches it.
  timer = threading.Timer(seconds, end)
  timer.daemon = True
  timer.start()
  try:
    yield
  finally:
    timer.cancel()


def _divide_gpus(timeout: int) -> None:
  """Lets this process see its share of the GPUs of its machine."""
  state = distributed.global_state
  if jax.config.jax_platforms == 'cpu':  # type: ignore[attr-defined]
    return
  machines = exchange.texts(local_gpus.machine(), timeout)
  share = local_gpus.share(machines, state.process_id)
  if share is not None:
    jax.config.update('jax_cuda_visible_devices', share)
    jax.config.update('jax_rocm_visible_devices', share)


def stop_processes() -> None:
  """Waits until all processes of a run have called this, and disconnects."""
  if jax.process_count() > 1:
    jax.distributed.shutdown()


def client() -> Any:
  """Returns the client of JAX's coordination service, which stores texts."""
  return distributed.global_state.client


class Agreement:
  """Lets all processes act on a request of any at the same point.

  A process that is asked at point n names point n + _LEAD in JAX's coordination
  service, and the first name counts. All see it in time: a process passes a
  point only with results that need all others to have passed the point before
  (a step, a batch of an evaluation), read one or two points late.

  All processes make their agreements in the same order.
  """

  def __init__(self):
    self._key = f'uda_jax/agreement/{next(_agreements)}'
    self._point = 0

  def __call__(self, asked: bool) -> bool:
    """Returns whether all act now; called by all processes at each point.

    Args:
      asked: whether this process is asked to.
    """
    if jax.process_count() == 1:
      return asked
    self._point += 1
    named = self._named()
    if named is None and asked:
      try:
        client().key_value_set(self._key, str(self._point + _LEAD))
      except jax.errors.JaxRuntimeError as error:
        if 'ALREADY_EXISTS' not in str(error):
          raise
      named = self._named()
    return named is not None and self._point >= named

  def _named(self) -> int | None:
    try:
      return int(client().key_value_try_get(self._key))
    except jax.errors.JaxRuntimeError as error:
      if 'NOT_FOUND' not in str(error):
        raise
      return None
