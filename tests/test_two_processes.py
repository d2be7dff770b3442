"""Two training processes of one run give the result of one."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests import last_state
from tests import tiny_leaf
from uda_jax.train import loop

ROOT = pathlib.Path(__file__).parents[1]
STEPS = 4


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
  """Rendered scenes, shared by the runs."""
  return tmp_path_factory.mktemp('pair')


def _flags(shared, workdir):
  return [
    '--config=tests/tiny_leaf.py',
    f'--workdir={workdir}',
    f'--config.data.cache_dir={shared / "data"}',
    f'--config.steps={STEPS}',
    '--config.batch.groups=2',
    '--config.checkpoint.every=8',
    '--config.log.panels_every=0',
  ]


@pytest.fixture(scope='module')
def two(shared):
  """The directory of a run of two processes from start to end."""
  workdir = shared / 'two'
  done = subprocess.run(
    ['launch/local_processes.sh', '2', *_flags(shared, workdir)],
    cwd=ROOT,
    env=os.environ | {'JAX_NUM_CPU_DEVICES': '1', 'PYTHON': sys.executable},
    text=True,
    capture_output=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return workdir


def test_two_processes_give_the_one_process_result(shared, two):
  config = tiny_leaf.get_config()
  config.devices = 1
  config.batch.groups = 2
  config.steps = STEPS
  config.checkpoint.every = 1000
  config.data.cache_dir = str(shared / 'data')
  config.log.panels_every = 0
  loop.run(config, shared / 'one', progress=False)
  one, both = (last_state.read(workdir)[1] for workdir in (shared / 'one', two))
  for name, value in one.items():
    if name.startswith("['student']"):
      np.testing.assert_allclose(
        both[name], value, rtol=1e-3, atol=5e-5, err_msg=name
      )
