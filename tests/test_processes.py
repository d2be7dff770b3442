"""Processes of one run on a machine: their GPUs, and waiting for each other."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from uda_jax import parallel
from uda_jax.parallel import local_gpus
from uda_jax.parallel import processes

ROOT = pathlib.Path(__file__).parents[1]
_SEEN = """
from uda_jax import parallel
parallel.start_processes({})
import jax
from jax._src import xla_bridge
print(jax.process_index(), jax.process_count(),
      xla_bridge.CUDA_VISIBLE_DEVICES.value)
"""


def _port():
  with socket.socket() as free:
    free.bind(('localhost', 0))
    return free.getsockname()[1]


def _start(arguments='', **environment):
  own = {k: v for k, v in os.environ.items() if k != 'JAX_PLATFORMS'}
  return subprocess.Popen(
    [sys.executable, '-c', _SEEN.format(arguments)],
    cwd=ROOT,
    env=own | {'JAX_NUM_CPU_DEVICES': '1'} | environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _slurm(task, tasks, local, **environment):
  """What srun sets, with GPUs that are not there."""
  return _start(
    SLURM_JOB_ID=str(_port()),
    SLURM_STEP_NODELIST='localhost',
    SLURM_NTASKS=str(tasks),
    SLURM_PROCID=str(task),
    SLURM_LOCALID=str(local),
    **environment,
  )


def test_one_task_of_a_node_has_all_its_gpus():
  process = _slurm(0, 1, 0, CUDA_VISIBLE_DEVICES='0,1,2,3,4,5,6,7')
  output, error = process.communicate(timeout=60)
  assert output.split() == ['0', '1', 'all'], error


def test_tasks_of_a_node_divide_its_gpus():
  port = str(_port())
  processes = [
    _slurm(i, 2, i, CUDA_VISIBLE_DEVICES='4,5,6,7', JAX_COORDINATOR_PORT=port)
    for i in range(2)
  ]
  outputs = [process.communicate(timeout=60) for process in processes]
  assert [out.split()[-3:] for out, _ in outputs] == [
    ['0', '2', '0,1'],
    ['1', '2', '2,3'],
  ], outputs


def _machine(host, gpus, chosen=''):
  return json.dumps([host, 'boot', chosen, *map(str, range(gpus))])


@pytest.mark.parametrize(
  ('machines', 'expected'),
  [
    # One process on each of two nodes.
    ([_machine('a', 8), _machine('b', 8)], [None, None]),
    # One process for each GPU.
    ([_machine('a', 4)] * 4, ['0', '1', '2', '3']),
    ([_machine('a', 4), _machine('b', 4)] * 2, ['0,1', '0,1', '2,3', '2,3']),
    # Bound by the scheduler, or by the user.
    ([_machine('a', 1)] * 4, [None] * 4),
    ([_machine('a', 4, '0,1'), _machine('a', 4, '2,3')], [None, None]),
    # No GPU at all.
    ([_machine('a', 0)] * 2, [None, None]),
  ],
)
def test_shares(machines, expected):
  found = [local_gpus.share(machines, i) for i in range(len(machines))]
  assert found == expected


@pytest.mark.parametrize('count', [3, 8])
def test_gpus_that_cannot_be_divided(count):
  with pytest.raises(ValueError, match=f'1 or 2 or 4 processes .* got {count}'):
    local_gpus.share([_machine('a', 4)] * count, 1)


@pytest.mark.parametrize(
  ('variables', 'expected'),
  [
    ({'CUDA_VISIBLE_DEVICES': '2,GPU-5'}, ['2', 'GPU-5']),
    ({'CUDA_VISIBLE_DEVICES': ''}, []),
    ({'HIP_VISIBLE_DEVICES': '0,1'}, ['0', '1']),
  ],
)
def test_gpus_that_a_process_sees(variables, expected, monkeypatch):
  for name in ('CUDA_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES'):
    monkeypatch.delenv(name, raising=False)
  for name, value in variables.items():
    monkeypatch.setenv(name, value)
  assert json.loads(local_gpus.machine())[3:] == expected


def test_a_process_whose_peer_never_comes_ends_with_one_line():
  address = f'localhost:{_port()}'
  start = time.monotonic()
  process = _start(f'"{address}", 2, 1, timeout=1')
  _, error = process.communicate(timeout=60)
  assert process.returncode == parallel.EXIT_PEER
  [line] = error.splitlines()
  assert '--start_timeout: expected all processes within 1 s' in line
  assert address in line and 'process 1 waited' in line
  assert time.monotonic() - start < 30


@pytest.fixture
def environment(monkeypatch):
  """Sets variables of launchers; none of another one is there."""

  def put(**variables):
    for name in list(os.environ):
      if name.startswith(('SLURM_', 'OMPI_', 'PMI_', 'JAX_COORD')):
        monkeypatch.delenv(name)
    for name, value in variables.items():
      monkeypatch.setenv(name, value)

  return put


_STEP = dict(
  SLURM_JOB_ID='7',
  SLURM_STEP_NODELIST='node[03-04,07]',
  SLURM_NTASKS='3',
  SLURM_PROCID='0',
  SLURM_LOCALID='0',
)


def test_a_shell_in_a_slurm_job_waits_for_nobody(environment):
  """`salloc --ntasks=3` tells its shell of three tasks, and starts one."""
  environment(**_STEP, SLURM_STEP_NUM_TASKS='3')
  address, *numbers = processes._found(1)
  assert address.startswith('node03:') and numbers == [3, 0]
  environment(**_STEP, SLURM_STEP_NUM_TASKS='1')
  assert processes._found(1) is None


@pytest.mark.parametrize(
  'variables',
  [
    dict(OMPI_COMM_WORLD_SIZE='2', OMPI_COMM_WORLD_RANK='1'),
    dict(PMI_SIZE='2', PMI_RANK='1'),
    # Its daemon on another node is a task of Slurm's.
    _STEP | dict(OMPI_COMM_WORLD_SIZE='8', SLURM_STEP_NUM_TASKS='3'),
    _STEP | dict(OMPI_COMM_WORLD_SIZE='8', SLURM_STEP_NUM_TASKS='1'),
  ],
)
def test_an_mpi_that_jax_does_not_know_is_named(environment, variables):
  environment(**variables)
  with pytest.raises(ValueError, match='--process_id=.(OMPI|PMI)_') as error:
    processes._found(1)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'variables',
  [
    dict(OMPI_COMM_WORLD_SIZE='1', OMPI_COMM_WORLD_RANK='0'),
    _STEP | dict(PMI_SIZE='3', PMI_RANK='0'),  # srun --mpi=pmi2
    dict(
      OMPI_MCA_orte_hnp_uri='1531576320.0;tcp://10.96.0.1,10.148.0.1:34911',
      OMPI_COMM_WORLD_SIZE='2',
      OMPI_COMM_WORLD_RANK='1',
      OMPI_COMM_WORLD_LOCAL_RANK='1',
      SLURM_STEP_NUM_TASKS='1',
    ),
  ],
)
def test_an_mpi_that_jax_knows_is_left_to_it(environment, variables):
  environment(**variables)
  found = processes._found(1)
  assert found is None or found[1] > 1


def test_gpus_of_amd_that_slurm_gives_a_job(monkeypatch):
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
  monkeypatch.delenv('HIP_VISIBLE_DEVICES', raising=False)
  monkeypatch.setattr(local_gpus.os.path, 'exists', lambda path: True)
  monkeypatch.setattr(
    local_gpus.glob, 'glob', lambda _: [f'renderD{i}' for i in range(8)]
  )
  assert len(local_gpus._gpus()) == 8
  monkeypatch.setenv('ROCR_VISIBLE_DEVICES', '4,5,6,7')
  machines = [local_gpus.machine()] * 2
  assert [local_gpus.share(machines, i) for i in range(2)] == ['0,1', '2,3']
