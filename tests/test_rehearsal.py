"""The rehearsal of the published runs: what it reads from logs, its table."""

import pathlib
import re

import jax
import jax.numpy as jnp
import pytest

from benchmarks import published_weights
from benchmarks import rehearsal_commands as commands
from benchmarks import rehearsal_configs
from benchmarks import rehearsal_table
from uda_jax import configs
from uda_jax.configs import overrides
from uda_jax.runs import compile_cache
from uda_jax.train import checks


def test_programs_are_read_from_the_log():
  made = compile_cache.Compiler(None, []).compile(
    jax.jit(lambda x: x + 1), jnp.ones(1 << 18)
  )
  text = (
    '12:00:00 compiling the train step from step 1 (once; seconds for a small '
    'network)\nE1130 12:00:00 slow_operation_alarm.cc:73] \n****\n[Compiling '
    f'module jit_f for CPU] Very slow compile?\n****\n12:00:01 {made}\n'
    '12:00:02 compiling the panels (once; seconds)\n'
  )
  [program] = commands.programs(text)
  assert program.name == 'the train step from step 1'
  assert not program.cached
  assert program.gib == round(made.gib(), 1)
  # One MiB in, one out.
  assert made.gib() == pytest.approx(2 / 1024)


def test_a_command_that_plans_too_much_is_ended(tmp_path, monkeypatch):
  (tmp_path / 'large.py').write_text(
    'import time\n'
    'print("compiling the train step (once; minutes)")\n'
    'print("compiled in 9s, 1s of it tracing; it plans 20.0 GiB", flush=True)\n'
    'time.sleep(60)\n'
  )
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  with pytest.raises(commands.TooLarge, match='plans 20.0 GiB, more than 12'):
    commands.run(['large'], tmp_path / 'log.txt', memory=12)


SYSTEMS = ('pixmatch', 'ehtdi', 'lse', 'daformer', 'hrda', 'pipa', 'cluda')
SYSTEMS += ('vfm_uda', 'vfm_uda_pp', 'dinov3_convnext_self_training')
SYSTEMS += ('eva02_self_training',)


@pytest.mark.parametrize('name', [f'gta5_to_cityscapes/{x}' for x in SYSTEMS])
def test_a_system_is_shortened_to_one_that_can_run(name, tmp_path):
  fields = rehearsal_configs.overrides(name, 1)
  fields |= rehearsal_configs.halved(name)
  config = overrides.apply(
    configs.load(name), [f'--config.{k}={v}' for k, v in fields.items()]
  )
  file = rehearsal_configs.start_weights(name).split('#')[0]
  assert file in {x.name for x in published_weights.FILES}
  config.model.weights = str(tmp_path / 'file')
  (tmp_path / 'file').touch()
  if frozen := rehearsal_configs.reference_weights(name):
    assert frozen in {x.name for x in published_weights.FILES}
    config.model.reference.weights = config.model.weights
  checks.check_config(config)
  assert config.steps == 2


def test_the_table_says_what_was_not_reached():
  step = commands.Program('the train step', False, 60.0, 20.0, 18.42)
  record = dict(
    config='a/b',
    options=['--config.a=1'],
    losses={'1': 2.5, '2': 2.25},
    steps=2,
    gib=7.04,
    programs=[step._asdict()],
    seconds={'prepare': 3.4, 'train': 71.2},
    error='no space',
  )
  row = rehearsal_table.table([record]).splitlines()[-1]
  assert row == (
    '| `a/b` | 2.50, 2.25 | 18.4 | 7.0 | 3 | 71 |  |  |  |  | no space with '
    '`--config.a=1` |'
  )


def test_the_table_of_traces():
  batch = [[1, 2, 512, 512, 3]] * 2
  record = dict(
    config='a/b',
    method='hrda + masking',
    tensors=9,
    phases=[{'batch': batch, 'megabytes': 1.5}] * 2,
    seconds=31.2,
  )
  rows = rehearsal_table.traced([record, dict(config='c/d', error='x')])
  assert rows.splitlines()[2:] == [
    '| `a/b` | hrda + masking | 9 | 1 x 2, 512 x 512 | 2 | 31 |',
    '| `c/d` | x |  |  |  |  |',
  ]


def test_the_page_has_a_trace_of_every_published_config():
  page = pathlib.Path('docs/published/rehearsal.md').read_text()
  traced = page.split('## Traced at full size')[1]
  names = re.findall(r'^\| `(\w+/\w+)` \|', traced, re.MULTILINE)
  assert sorted(names) == sorted(rehearsal_configs.config_names())
