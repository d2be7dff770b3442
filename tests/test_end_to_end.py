"""The command itself: trains, resumes after SIGTERM and kill -9, refuses."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import forked
from tests import last_state
from tests import slow_main
from tests import tiny_config
from uda_jax import main
from uda_jax.train import loop

ROOT = pathlib.Path(__file__).parents[1]
# `make reliability` asks for more kills, and gets a longer run for them.
KILLS = int(os.environ.get('KILLS', '1'))
# A quiet machine does about 25 steps before a kill.
STEPS = 24 if KILLS == 1 else 30 * KILLS
# Another program to compile, in runs that are not about pictures.
NO_PICTURES = '--config.log.panels_every=0'
# Only the run that the others are compared with, and what starts from it.
LABEL_FREE = dict(eval__label_free__num_images=4)


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
  """Rendered scenes, shared by the runs."""
  return tmp_path_factory.mktemp('shared')


def _flags(shared, workdir, *flags):
  return [
    '--config=tests/tiny_config.py',
    f'--workdir={workdir}',
    f'--config.data.cache_dir={shared / "data"}',
    f'--config.steps={STEPS}',
    *flags,
  ]


def _start(shared, workdir, *flags, main=main.main):
  return forked.Forked(main, _flags(shared, workdir, *flags))


def _run(shared, workdir, *flags):
  process = _start(shared, workdir, *flags)
  output = process.communicate(timeout=300 + STEPS)
  return process.returncode, output


def _here(shared, workdir, **changes):
  """A run in this process, as `_run` makes it in another."""
  config = tiny_config.get_config()
  config.devices = 1
  config.steps = STEPS
  config.data.cache_dir = str(shared / 'data')
  config.update_from_flattened_dict(
    {name.replace('__', '.'): value for name, value in changes.items()}
  )
  return loop.run(config, str(workdir))


@pytest.fixture(scope='module')
def uninterrupted(shared):
  """A run from start to end."""
  workdir = shared / 'uninterrupted'
  done = subprocess.run(
    [sys.executable, '-m', 'uda_jax.main']
    + _flags(shared, workdir, '--config.eval.label_free.num_images=4'),
    cwd=ROOT,
    env=os.environ | {'JAX_NUM_CPU_DEVICES': '1'},
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )
  assert done.returncode == 0, done.stdout
  return workdir, done.stdout


def test_a_run_leaves_what_a_user_looks_for(uninterrupted):
  workdir, output = uninterrupted
  results = json.loads((workdir / 'results.json').read_text())
  assert set(results) == {'student', 'teacher'}
  assert 0 <= results['teacher']['miou']['all classes'] <= 1
  assert results['student']['label_free'].keys() == {
    'entropy',
    'confident',
    'agreement',
    'shift',
    'prior',
  }
  assert 'road' in (workdir / 'results.txt').read_text()
  manifest = json.loads((workdir / 'manifest.json').read_text())
  assert manifest['starts'][0]['method'] == 'self_training'
  assert 'config: self_training, ' in output
  pictures = {path.name for path in (workdir / 'panels').iterdir()}
  assert {'step_000000.png', f'evaluation_{STEPS:06d}.png'} <= pictures
  assert list((workdir / 'curves').iterdir())
  assert re.search(rf'step \d+/{STEPS} .*img/s.*ETA', output), output
  assert 'devices: 1 x' in output
  assert 'initial weights of all parts: random' in output
  assert re.search(r'compiling the train step .once; .*\n.* in \d+s', output)
  assert 'selected' not in output


def test_a_finished_run_is_not_repeated(shared, uninterrupted, caplog):
  workdir, _ = uninterrupted
  with caplog.at_level('INFO', logger='absl'):
    _here(shared, workdir, **LABEL_FREE)
  assert f'resumed at step {STEPS}' in caplog.text
  assert len(json.loads((workdir / 'manifest.json').read_text())['starts']) == 2


@pytest.mark.parametrize(
  ('number', 'exit_code'), [(signal.SIGTERM, 75), (signal.SIGINT, 130)]
)
def test_a_signal_saves_and_a_second_start_resumes(
  shared, uninterrupted, number, exit_code
):
  workdir = shared / number.name
  process = _start(
    shared, workdir, '--config.checkpoint.every=1000', NO_PICTURES
  )
  for line in process.stdout:
    if line_is_progress(line, 1):
      process.send_signal(number)
      break
  output = process.stdout.read()
  assert process.wait(timeout=300) == exit_code, output
  assert 'Traceback' not in output
  [said] = [line for line in output.splitlines() if 'stopped at' in line]
  step, _ = last_state.read(workdir)
  assert f'stopped at step {step}, saved in' in said and 1 <= int(step)
  code, output = _run(
    shared, workdir, '--config.checkpoint.every=1000', NO_PICTURES
  )
  assert code == 0 and f'resumed at step {step}' in output, output
  last_state.assert_same(workdir, uninterrupted[0])


def line_is_progress(line: str, step: int) -> bool:
  """Returns whether a log line reports this step or a later one."""
  found = re.search(r'step (\d+)/\d+', line)
  return bool(found) and int(found[1]) >= step


def test_kill_at_random_moments(shared, uninterrupted):
  """`make reliability` does this many times; see docs/reliability.md."""
  workdir = shared / 'killed'
  draw, trained = random.Random(0), 0
  for _ in range(KILLS):
    process = _start(shared, workdir, NO_PICTURES, main=slow_main.main)
    for line in process.stdout:
      if line_is_progress(line, 1):
        trained += 1
        break
    time.sleep(draw.uniform(0, 2.0))
    process.kill()
    process.communicate()
  # The others came when all steps were done.
  assert 2 * trained >= KILLS
  code, output = _run(shared, workdir, NO_PICTURES)
  assert code == 0, output
  last_state.assert_same(workdir, uninterrupted[0])


def test_warm_start_takes_the_other_run_s_network(
  shared, uninterrupted, tmp_path, caplog
):
  with caplog.at_level('INFO', logger='absl'):
    _here(
      shared,
      tmp_path / 'run',
      steps=1,
      schedule__learning_rate=0.0,
      teacher__decay=0.5,
      eval__every=1,
      eval__label_size=(8, 16),
      warm_start__network='teacher',
      warm_start__workdir=str(uninterrupted[0]),
      **LABEL_FREE,
    )
  assert 'initial weights of all parts: teacher of the run' in caplog.text
  _, before = last_state.read(uninterrupted[0])
  _, after = last_state.read(tmp_path / 'run')
  for name, value in before.items():
    if name.startswith("['teacher']['params']"):
      np.testing.assert_array_equal(
        after[name.replace('teacher', 'student')], value, err_msg=name
      )
  # The last step is evaluated once, although eval.every divides it.
  assert caplog.text.count('step 1: eval/miou') == 1
  # Evaluated on the way: the log says how the best was selected.
  assert 'best so far, selected on target labels' in caplog.text
  results = json.loads((tmp_path / 'run' / 'results.json').read_text())
  names = ('student', 'teacher', 'best')
  assert {*results} == {*names, *(f'{n}, labels at full size' for n in names)}
  assert results['best, labels at full size']['step'] == 1
  assert results['best']['label_size'] == [8, 16]
  table = (tmp_path / 'run' / 'results.txt').read_text()
  assert ' images, at the last step and at the best. ' in table
  best = results['best']
  assert best['step'] == 1 and best['selected'] == 'selected on target labels'
  assert set(best['label_free']) == {*results['student']['label_free']}
  assert {'agreement', 'prior'} <= set(best['label_free'])


def test_an_unknown_field_is_named(shared, tmp_path):
  code, output = _run(shared, tmp_path / 'run', '--config.no_such_field=1')
  assert code != 0 and 'no_such_field' in output


def test_an_unknown_method_is_one_line(shared, tmp_path):
  code, output = _run(shared, tmp_path / 'run', '--config.method.name=nope')
  assert code == 1 and 'Traceback' not in output
  assert 'error: config.method.name: expected one of' in output


@pytest.mark.parametrize(
  'changes, message',
  [
    (dict(model__name='nope'), 'config.model.name'),
    (dict(eval__network='nope'), 'config.eval.network'),
    (dict(data__crop_size=(64, 64)), 'config.data.crop_size'),
    (
      dict(data__root='/nowhere', data__source__kind='folder'),
      'config.data.source',
    ),
    (dict(warm_start__workdir='/nowhere'), 'config.warm_start.workdir'),
    (dict(batch__groups=3, batch__accumulate=2), 'config.batch.groups'),
  ],
)
def test_errors_name_the_field(shared, tmp_path, changes, message):
  with pytest.raises((ValueError, OSError), match=message):
    _here(shared, tmp_path / 'run', **changes)


def test_an_unwritable_workdir(shared, tmp_path):
  (tmp_path / 'file').write_text('')
  code, output = _run(shared, tmp_path / 'file' / 'run')
  assert code == 1 and '--workdir' in output, output


def test_a_workdir_of_another_config(shared, uninterrupted):
  with pytest.raises(ValueError, match='config.method.threshold'):
    _here(shared, uninterrupted[0], method__threshold=0.9, **LABEL_FREE)


def test_a_diverging_run_ends_with_one_line_that_names_the_terms(
  shared, tmp_path
):
  code, output = _run(
    shared,
    tmp_path / 'run',
    NO_PICTURES,
    '--config.schedule.learning_rate=1e30',
    '--config.optim.clip_norm=0.0',
    '--config.log.max_nonfinite=3',
    '--config.checkpoint.every=1000',
  )
  assert code == 1 and 'Traceback' not in output
  assert re.search('^error: step .* not finite: .*loss/source', output, re.M)
  assert 'there is no checkpoint yet' in output
