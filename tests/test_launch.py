"""The launchers, played through with stand-ins for what they call.

Those of TPUs and Kubernetes are in `test_launch_clouds.py`.
"""

import os
import signal
import time

import pytest

from tests.launch_stage import FLAGS
from tests.launch_stage import ROOT
from tests.launch_stage import TPU
from tests.launch_stage import Stage

SCRIPTS = sorted((ROOT / 'launch').glob('*.sh'))

# restart.sh


@pytest.mark.parametrize(
  ('plan', 'quick', 'starts', 'code'),
  [
    ('75, 76, 0', 600, 3, 0),
    ('75, 75, 75, 75, kill, 1', 600, 6, 1),
    ('2', 600, 1, 2),
    ('74', 600, 1, 74),
    ('130', 600, 1, 130),
    # Soon after the start, three times.
    ('76, kill, 134, 0', 600, 3, 134),
    ('76, 76, 75, 76, 76, 0', 600, 6, 0),
    # Late: again and again.
    ('76, kill, 134, 76, 0', 0, 5, 0),
  ],
)
def test_restart(tmp_path, plan, quick, starts, code):
  stage = Stage(tmp_path, plan)
  found, output = stage.run('restart.sh', 'python', '-m', 'x', QUICK=str(quick))
  assert (found, stage.starts()) == (code, starts), output


def test_restart_passes_a_signal_on_and_ends(tmp_path):
  stage = Stage(tmp_path, 'hold 0.2, 0')
  process = stage.start(
    'restart.sh', '--state=' + str(tmp_path / 's'), 'python'
  )
  stage.wait('holds.0')
  # Another one meanwhile does nothing.
  again = stage.run('restart.sh', '--state=' + str(tmp_path / 's'), 'python')
  assert again == (0, 'restart.sh: runs already\n')
  assert int(stage.read('s/pid')) == process.pid
  process.terminate()
  assert process.wait(timeout=30) == 75
  assert stage.starts() == 1 and stage.read('s/code') == '75\n'


# local_processes.sh


@pytest.mark.parametrize(
  ('plans', 'code'),
  [
    (('0', '0'), 0),
    (('75', '75'), 75),
    # The cause counts, not what it led to.
    (('76', '1'), 1),
    (('76', 'kill', '76'), 137),
    (('0', '76'), 76),
  ],
)
def test_processes_of_one_machine(tmp_path, plans, code):
  stage = Stage(tmp_path, *plans)
  found, output = stage.run('local_processes.sh', str(len(plans)), *FLAGS)
  assert found == code, output
  for i in range(len(plans)):
    started = stage.read(f'started.{i}')
    assert f'--num_processes={len(plans)} --process_id={i}' in started
    assert started.startswith('-m uda_jax.main --coordinator=localhost:')


def test_processes_of_one_machine_are_restarted_together(tmp_path):
  # Both save; one is killed, which its peer notices; both end.
  stage = Stage(tmp_path, '75, kill, 0', '75, 76, 0')
  launcher = str(ROOT / 'launch' / 'local_processes.sh')
  code, output = stage.run('restart.sh', launcher, '2', *FLAGS)
  assert (code, stage.starts(0), stage.starts(1)) == (0, 3, 3), output


def test_a_signal_reaches_all_processes(tmp_path):
  stage = Stage(tmp_path, 'hold 0.3', 'hold')
  process = stage.start('local_processes.sh', '2', *FLAGS)
  stage.wait('holds.0'), stage.wait('holds.1')
  process.terminate()
  assert process.wait(timeout=30) == 75


def test_a_signal_during_the_start_reaches_the_later_ones_too(tmp_path):
  stage = Stage(tmp_path)
  stub = tmp_path / 'python'
  stub.write_text(
    '#!/bin/bash\n'
    "trap 'exit 75' TERM\n"
    '[[ "$*" != *--process_id=0* ]] || kill -TERM $PPID\n'
    'for _ in {1..500}; do sleep 0.02; done\n'
    'exit 76\n'
  )
  stub.chmod(0o755)
  process = stage.start('local_processes.sh', '20', *FLAGS, PYTHON=str(stub))
  # 143: it came before a process could handle it.
  assert process.wait(timeout=30) in (75, 143)


# slurm.sh


def _slurm(stage, restarts=0, **environment):
  stage.write('state', 'RUNNING')
  return stage.start(
    'slurm.sh',
    *FLAGS,
    SLURM_JOB_ID='7',
    SLURM_NTASKS='2',
    SLURM_RESTART_COUNT=str(restarts),
    **environment,
  )


def _job(stage, **environment):
  """Plays Slurm's controller: runs a job until it is not requeued."""
  codes = []
  while len(stage.read('requeued').splitlines()) == len(codes):
    process = _slurm(stage, restarts=len(codes), **environment)
    output, _ = process.communicate(timeout=60)
    codes.append(process.returncode)
  return codes, output


@pytest.mark.parametrize(
  ('plans', 'quick', 'codes'),
  [
    # Processes end one by one, and srun has no default of the site's.
    (('75, 0', '75, 0'), 600, [75, 0]),
    (('1', '76'), 600, [76] * 3 + [76]),
    # A node is gone, or the kernel killed a process.
    (('kill, 0', '76, 0'), 600, [137, 0]),
    (('134, 75, 0', '76, 75, 0'), 0, [134, 75, 0]),
    (('2', '2'), 600, [2]),
    (('130', '130'), 600, [130]),
    # The same failure soon after each start.
    (('kill, kill, kill, kill, 0', '76, 76, 76, 76, 0'), 600, [137] * 4),
    (('kill, kill, kill, kill, 0', '76, 76, 76, 76, 0'), 0, [137] * 4 + [0]),
  ],
)
def test_slurm(tmp_path, plans, quick, codes):
  plans = (', '.join([p] * len(codes)) if len(p) < 3 else p for p in plans)
  found, output = _job(Stage(tmp_path, *plans), QUICK=str(quick))
  assert found == codes, output


def _tasks(stage):
  return [int(stage.wait(f'holds.{i}')) for i in range(2)]


def test_slurm_signals_the_tasks_near_the_time_limit(tmp_path):
  # One saves at once, the other takes longer than the site's WaitTime.
  stage = Stage(tmp_path, 'hold, 0', 'hold 0.5, 0')
  process = _slurm(stage)
  for task in _tasks(stage):
    os.kill(task, signal.SIGTERM)
  assert process.wait(timeout=30) == 75
  assert stage.read('requeued') == '7\n'


def test_a_signal_to_the_batch_shell_does_not_end_it(tmp_path):
  stage = Stage(tmp_path, 'hold', 'hold')
  process = _slurm(stage)
  tasks = _tasks(stage)
  process.terminate()
  time.sleep(0.2)
  assert process.poll() is None
  for task in tasks:
    os.kill(task, signal.SIGTERM)
  assert process.wait(timeout=30) == 75
  assert stage.read('requeued') == '7\n'


@pytest.mark.parametrize('state', ['CANCELLED', 'COMPLETING', 'PREEMPTED'])
def test_a_cancelled_job_is_not_requeued(tmp_path, state):
  stage = Stage(tmp_path, 'hold', 'hold')
  process = _slurm(stage)
  tasks = _tasks(stage)
  stage.write('state', state)
  for task in tasks:
    os.kill(task, signal.SIGTERM)
  assert process.wait(timeout=30) == 75
  assert not stage.read('requeued')


# All


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_help(tmp_path, script):
  code, output = Stage(tmp_path).run(script.name, '--help')
  assert code == 0 and f'launch/{script.name}' in output
  assert '--dry_run' in output and 'set -' not in output


@pytest.mark.parametrize(
  ('script', 'arguments', 'shown'),
  [
    ('restart.sh', ('python', '-m', 'x', *FLAGS), 'python -m x'),
    ('local_processes.sh', ('2', *FLAGS), '--num_processes=2 --process_id=1'),
    ('slurm.sh', FLAGS, 'srun --kill-on-bad-exit=0 --wait=600'),
    ('tpu_pod.sh', ('start', *FLAGS), 'gcloud compute tpus tpu-vm ssh pod'),
    ('tpu_queued.sh', FLAGS, 'queued-resources create pod --zone=zone'),
    ('jobset.sh', ('mic', 'image:1', '2', *FLAGS), 'kind: JobSet'),
  ],
)
def test_a_dry_run_shows_and_does_nothing(tmp_path, script, arguments, shown):
  stage = Stage(tmp_path)
  code, output = stage.run(script, '--dry_run', *arguments, **TPU)
  assert code == 0 and shown in output
  assert 'workdir=/shared/a' in output
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ('script', 'arguments', 'message'),
  [
    ('restart.sh', (), 'expected a command'),
    ('local_processes.sh', ('--config=x',), 'expected a number of processes'),
    ('tpu_pod.sh', ('go',), "expected a verb, got 'go'"),
  ],
)
def test_wrong_use_is_one_line(tmp_path, script, arguments, message):
  code, output = Stage(tmp_path).run(script, *arguments, **TPU)
  assert code == 2 and message in output and len(output.splitlines()) == 1
