"""The launchers of TPUs and Kubernetes, played through with stand-ins."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest
import yaml

from tests import jobset_schema
from tests.launch_stage import FLAGS
from tests.launch_stage import ROOT
from tests.launch_stage import STAND_INS
from tests.launch_stage import TPU
from tests.launch_stage import Stage

# TPUs


@pytest.fixture
def repository(tmp_path):
  """A small repository with what the workers need of this one."""
  folder = tmp_path / 'repository'
  (folder / '.venv' / 'bin').mkdir(parents=True)
  (folder / '.venv' / 'bin' / 'python').symlink_to(STAND_INS / 'python')
  shutil.copytree(ROOT / 'launch', folder / 'launch')
  for command in (
    ('init', '--quiet'),
    ('add', '.'),
    ('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'All'),
  ):
    subprocess.run(['git', *command], cwd=folder, check=True)
  yield folder
  for path in tmp_path.glob('worker*/uda_jax_run/pid'):
    with contextlib.suppress(ProcessLookupError):  # it has ended
      os.killpg(int(path.read_text()), signal.SIGKILL)


def test_tpu_workers_train_detached_and_restart(tmp_path, repository):
  stage = Stage(tmp_path, '75, hold', '76, hold')
  pod = lambda *verb: stage.run('tpu_pod.sh', *verb, cwd=repository, **TPU)
  for worker in ('worker0', 'worker1'):
    (tmp_path / worker).mkdir()
  assert pod('status') == (0, 'not started\n' * 2)
  assert pod('setup')[0] == 0
  assert pod('start', *FLAGS) == (0, '')
  stage.wait('holds.0'), stage.wait('holds.1')
  assert pod('start', *FLAGS) == (0, '')  # runs already
  assert pod('status') == (0, 'running\n' * 2)
  assert (
    stage.read('started.1').splitlines()
    == [f'-m uda_jax.main {" ".join(FLAGS)}'] * 2
  )
  assert pod('stop')[0] == 0
  stage.wait('worker0/uda_jax_run/code'), stage.wait('worker1/uda_jax_run/code')
  assert pod('status') == (0, 'ended with 75\n' * 2)
  # The number of the process that has ended may be another's by now.
  sleeper = subprocess.Popen(['sleep', '60'], start_new_session=True)
  for worker in ('worker0', 'worker1'):
    (tmp_path / worker / 'uda_jax_run/pid').write_text(str(sleeper.pid))
  assert pod('stop') == (0, 'does not run\n' * 2)
  assert sleeper.poll() is None
  sleeper.kill()
  sleeper.wait()
  assert pod('logs', str(tmp_path / 'logs'))[0] == 0
  assert 'exit code 76, starting again' in stage.read('logs/1.log')


@pytest.mark.parametrize('flags', [['--workdir=a'], ['--workdir', 'runs/a']])
def test_a_run_never_lies_where_setup_removes_it(tmp_path, flags):
  stage = Stage(tmp_path)
  for verb in ('check', 'start'):
    code, output = stage.run('tpu_pod.sh', verb, *flags, **TPU)
    assert code == 2 and 'expected an absolute --workdir' in output
  code, output = stage.run(
    'tpu_pod.sh', '--dry_run', 'start', '--workdir=/a', **TPU
  )
  assert code == 0, output


def test_a_preempted_tpu_is_requested_again(tmp_path, repository):
  states = 'NONE WAITING_FOR_RESOURCES BROKEN ACTIVE ACTIVE BROKEN ACTIVE'
  again = 'SUSPENDED NONE PROVISIONING ACTIVE'
  stage = Stage(tmp_path, 'hold, 75, 0', 'hold, 75, 0')
  stage.write('states', f'{states} {again}')
  code, output = stage.run(
    'tpu_queued.sh', '--spot', *FLAGS, cwd=repository, **TPU
  )
  assert code == 0, output
  assert 'the run has ended with exit code 0' in output
  calls = [
    line.split()[3]
    for line in stage.read('gcloud').splitlines()
    if 'queued-resources' in line and 'describe' not in line
  ]
  assert calls == ['create', 'delete', 'create']
  assert '--accelerator-type=v5litepod-16' in stage.read('gcloud')
  assert stage.starts(0) == stage.starts(1) == 3


def test_the_watch_of_a_tpu_ends_with_the_error_of_a_worker(
  tmp_path, repository
):
  stage = Stage(tmp_path, '76, 76, 76', '1')
  stage.write('states', 'ACTIVE')
  code, output = stage.run('tpu_queued.sh', *FLAGS, cwd=repository, **TPU)
  assert code == 1, output


# jobset.sh


@pytest.mark.parametrize(
  ('plans', 'ended'),
  [
    (('0', '0'), '0 Completed'),
    (('75, 0', 'hold, 0'), '1 Completed'),
    (('hold, 76, 0', 'kill, hold, 0'), '2 Completed'),
    (('1', 'hold'), '0 Failed'),
    (('75, 75, 75, 75', 'hold, hold, hold, hold'), '3 Failed'),
  ],
)
def test_kubernetes(tmp_path, plans, ended):
  stage = Stage(tmp_path, *plans)
  code, output = stage.run(
    'jobset.sh', 'mic', 'image:1', '2', *FLAGS, RESTARTS='3'
  )
  assert code == 0, output
  assert stage.read('jobset') == ended
  assert stage.read('started.1').splitlines()[0] == (
    f'-m uda_jax.main {" ".join(FLAGS)} --coordinator=mic-run-0-0.mic:55527 '
    '--num_processes=2 --process_id=1'
  )


def test_the_jobset_fits_its_schema(tmp_path):
  flags = ('--config.steps=1', "--config.data.root=/it's $HOME: #1", 'true')
  code, output = Stage(tmp_path).run(
    'jobset.sh', '--dry_run', '--check', 'mic', 'image:1', '2', *flags, GPUS='4'
  )
  manifest = yaml.safe_load(output)
  problems = lambda: list(
    jobset_schema.problems(manifest, jobset_schema.JOBSET)
  )
  assert code == 0 and problems() == []
  job = manifest['spec']['replicatedJobs'][0]['template']['spec']
  [container] = job['template']['spec']['containers']
  assert container['args'][:3] == [f.replace('$', '$$') for f in flags]
  assert container['command'] == ['python', '-m', 'uda_jax.check_cluster']
  assert container['resources']['limits'] == {'nvidia.com/gpu': 4}
  # The check can fail.
  job['completions'] = '2'
  del job['template']
  job['retries'] = 3
  assert len(problems()) == 3
