"""Every mistake on a command line is one line, before TensorFlow is loaded."""

import importlib
import io
import os
import pathlib
import subprocess
import sys
import time

import pytest

import uda_jax
from uda_jax import __main__ as commands
from uda_jax import cli
from uda_jax import configs
from uda_jax import flag_values
from uda_jax import main
from uda_jax import parallel
from uda_jax.configs import overrides
from uda_jax.runs import provenance
from uda_jax.train import checks

ROOT = pathlib.Path(__file__).parents[1]
MODULES = (
  'main',
  'adapt',
  'evaluate',
  'predict',
  'export',
  'export.weights',
  'configs',
  'data.prepare',
  'data.streets.render',
  'data.town.render',
  'data.cells.render',
)
STREETS = 'streets/self_training'


def _train(workdir, *options):
  main.main([f'--workdir={workdir}', *options])


@pytest.mark.parametrize('name', ['streets/self_trainig', '/nowhere.py', 'x'])
def test_a_config_that_is_not_there(name, tmp_path):
  with pytest.raises(SystemExit, match=f'^error: config .*{name}') as stopped:
    _train(tmp_path, f'--config={name}')
  assert '\n' not in str(stopped.value)


@pytest.mark.parametrize(
  'options, message',
  [
    ((), 'required: --config'),
    (('--confg=x', f'--config={STREETS}'), 'did you mean --config?'),
    (('--nothing=1', f'--config={STREETS}'), '--nothing: there is no such'),
    (('spare', f'--config={STREETS}'), "got 'spare'"),
    (('--num_processes=x', f'--config={STREETS}'), '--num_processes'),
  ],
)
def test_wrong_flags_are_one_line_and_exit_code_2(
  options, message, tmp_path, capsys
):
  with pytest.raises(SystemExit) as stopped:
    _train(tmp_path, *options)
  error = capsys.readouterr().err
  assert stopped.value.code == 2
  assert message in error and error.count('\n') == 1


def test_no_workdir(capsys):
  with pytest.raises(SystemExit):
    main.main([f'--config={STREETS}'])
  assert 'required: --workdir' in capsys.readouterr().err


def test_debug_shows_the_traceback(tmp_path):
  with pytest.raises(ValueError, match='stpes'):
    _train(tmp_path, f'--config={STREETS}', '--config.stpes=3', '--debug')


def test_another_config_in_the_directory(tmp_path):
  provenance.run_manifest(tmp_path, configs.load(STREETS), {})
  with pytest.raises(SystemExit, match=r'config\.steps: expected 1000') as e:
    _train(tmp_path, f'--config={STREETS}', '--config.steps=7')
  assert '\n' not in str(e.value)


def test_more_devices_than_there_are():
  config = overrides.apply(configs.load(STREETS), ['--config.devices=9'])
  with pytest.raises(ValueError, match=r'config\.devices: expected 1 to 4'):
    checks.check_devices(config)


def test_one_group_on_several_devices():
  config = configs.load(STREETS)
  line = r'config\.batch\.groups=4, .* config\.devices=N'
  with pytest.raises(ValueError, match=line):
    checks.check_devices(config)
  checks.check_devices(overrides.apply(config, ['--config.devices=1']))


@pytest.mark.parametrize('name', configs.paths())
def test_every_config_passes(name, tmp_path):
  config = configs.load(name)
  if config.warm_start.workdir:
    config.warm_start.workdir = str(tmp_path)
  weights = tmp_path / 'weights.pth'
  weights.touch()
  if config.model.starts_from:
    config.model.weights = str(weights)
  if config.model.get('reference'):
    config.model.reference.weights = str(weights)
  checks.check_config(config)


# Arguments: a module, libraries that must stay away, and the command's flags.
_STOPS_BEFORE = """
import importlib, sys
module, libraries, *argv = sys.argv[1:]
try:
  importlib.import_module(module).main(argv)
finally:
  assert not set(libraries.split()) & set(sys.modules)
"""


@pytest.mark.parametrize(
  'options, message',
  [
    (('--config.stpes=3',), 'config.stpes: there is no such field'),
    (('--config.data.crop_size=(64,)',), 'config.data.crop_size: expected'),
    (('--config.devices=9',), 'config.devices: expected'),
    (('--config.steps=7',), 'belongs to a run with another config'),
  ],
)
def test_the_command_stops_before_tensorflow(options, message, tmp_path):
  provenance.run_manifest(tmp_path, configs.load(STREETS), {})
  start = time.monotonic()
  done = _run(
    '-c',
    _STOPS_BEFORE,
    'uda_jax.main',
    'tensorflow orbax',
    f'--config={STREETS}',
    f'--workdir={tmp_path}',
    *options,
  )
  assert done.returncode == 1
  assert done.stderr.startswith('error: ') and message in done.stderr
  assert done.stderr.count('\n') == 1, done.stderr
  # Three seconds on an idle machine; importing TensorFlow alone takes ten on a
  # busy one.
  assert time.monotonic() - start < 20


def test_evaluate_stops_before_tensorflow(tmp_path):
  provenance.run_manifest(
    tmp_path,
    configs.load(STREETS),
    {'classes': {'names': ('a', 'b'), 'palette': ((0, 0, 0),) * 2}},
  )
  for option, message in (
    ('--config.eval.flop', 'did you mean config.eval.flip'),
    ('--config.eval.scales=0', 'config.eval.scales'),
    ('--config.data.evaluation.split=tset', 'expected one of'),
    ('--scales=x', 'expected numbers with commas'),
  ):
    done = _run(
      '-c',
      _STOPS_BEFORE,
      'uda_jax.evaluate.__main__',
      'tensorflow',
      f'--workdir={tmp_path}',
      f'--out={tmp_path / "out"}',
      option,
    )
    assert done.returncode in (1, 2) and message in done.stderr, done.stderr
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1


def _run(*args):
  return subprocess.run(
    [sys.executable, *args],
    cwd=ROOT,
    text=True,
    capture_output=True,
    timeout=60,
  )


_HELP = """
import runpy, sys
sys.argv = ['x', '--help']
try:
  runpy.run_module('uda_jax.{}', run_name='__main__')
finally:
  assert not {{'jax', 'tensorflow', 'flax'}} & set(sys.modules)
"""


@pytest.mark.parametrize('module', MODULES)
def test_help_loads_no_jax_and_keeps_line_breaks(module):
  done = _run('-c', _HELP.format(module))
  assert done.returncode == 0, done.stderr
  assert f'\n  python -m uda_jax.{module}' in done.stdout
  assert '--version' in done.stdout and '--debug' in done.stdout
  assert '--helpfull' not in done.stdout and 'logtostderr' not in done.stdout


@pytest.mark.parametrize('name', commands.COMMANDS)
def test_every_flag_is_explained_in_short_lines(name, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  module = importlib.import_module(commands.COMMANDS[name][0])
  parser = module.parser()
  assert not [action.dest for action in parser._actions if not action.help]
  assert max(map(len, parser.format_help().splitlines())) <= 80


def test_help_of_evaluate_shows_both_modes():
  text = _run('-m', 'uda_jax.evaluate', '--help').stdout
  assert '--workdir=RUN' in text and '--predictions=FOLDER' in text


def test_commands_are_listed_and_run(capsys):
  commands.main([])
  text = capsys.readouterr().out
  for name, (module, line) in commands.COMMANDS.items():
    assert f'  {name} ' in text and line in text
    assert callable(__import__(module, fromlist=['main']).main)
  commands.main(['--version'])
  assert capsys.readouterr().out == f'uda_jax {uda_jax.__version__}\n'
  for argv in (['train', '--version'], ['export-weights', '--version']):
    with pytest.raises(SystemExit):
      commands.main(argv)
    assert capsys.readouterr().out == f'uda_jax {uda_jax.__version__}\n'
  with pytest.raises(SystemExit) as stopped:
    commands.main(['trian'])
  assert stopped.value.code == 2
  assert "got 'trian'" in capsys.readouterr().err


def test_flags_and_overrides_in_either_form():
  parser = cli.Parser('x', '')
  cli.add_config(parser, 'x')
  cli.add_size(parser, 'x')
  parser.add_argument('--batch_size', type=flag_values.at_least(1))
  args = cli.parse(
    parser,
    [
      *('--config', STREETS, '--size', '32x64', '--batch-size=3'),
      *('--config.steps', '7', '--config.schedule.learning_rate', '-1'),
      *('--config.eval.flip', '--noconfig.data.flip'),
      *('--config.data.crop_size=(32, 64)', '--config.data.resize=a-b'),
    ],
  )
  assert (args.config, args.size, args.batch_size) == (STREETS, (32, 64), 3)
  config = overrides.apply(configs.load(STREETS), args.overrides)
  assert config.steps == 7 and config.schedule.learning_rate == -1.0
  assert config.eval.flip is True and config.data.flip is False
  assert config.data.crop_size == (32, 64) and config.data.resize == 'a-b'
  assert configs.load(STREETS).steps != 7


@pytest.mark.parametrize(
  'name', ['custom/self_training', 'camvid_to_idd/self_training']
)
@pytest.mark.parametrize(
  'text, value',
  [
    ('train.txt', 'train.txt'),
    ('lists/a,b.txt', 'lists/a,b.txt'),
    ("('a*', 'b*')", ('a*', 'b*')),
    ("('a*',)", ('a*',)),
    ('()', ()),
  ],
)
def test_files_are_a_list_or_patterns(name, text, value):
  option = f'--config.data.source.files={text}'
  config = overrides.apply(configs.load(name), [option])
  assert config.data.source.files == value
  assert config.data.target.files == configs.load(name).data.target.files


@pytest.mark.parametrize('text', ['32', '32x', 'x', '0x4', '3 2', '1.5x2', ''])
def test_a_size_that_is_none(text, capsys):
  parser = cli.Parser('x', '')
  cli.add_size(parser, 'x')
  with pytest.raises(SystemExit):
    cli.parse(parser, [f'--size={text}'])
  assert 'HEIGHTxWIDTH such as 512x1024' in capsys.readouterr().err


def test_overrides_only_where_there_is_a_config(capsys):
  with pytest.raises(SystemExit):
    cli.parse(cli.Parser('x', ''), ['--config.steps=3'])
  assert '--config.steps: there is no such flag' in capsys.readouterr().err


def test_what_is_written_to_stderr_is_hidden_unless_it_fails(capfd):
  with cli.hidden_stderr():
    os.write(2, b'noise')
  assert capfd.readouterr().err == ''
  with pytest.raises(ImportError), cli.hidden_stderr():
    os.write(2, b'reason')
    raise ImportError
  assert capfd.readouterr().err == 'reason'
  with cli.hidden_stderr(False):
    os.write(2, b'shown')
  assert capfd.readouterr().err == 'shown'


@pytest.mark.parametrize(
  'flags, before, level',
  [((), None, '3'), ((), '1', '1'), (('--debug',), None, None)],
)
def test_log_level_of_tensorflow_and_xla(flags, before, level, monkeypatch):
  # Restored after the test, for any value that the command sets.
  monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', 'x')
  monkeypatch.delenv('TF_CPP_MIN_LOG_LEVEL')
  if before:
    monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', before)
  found = []
  command = lambda args: found.append(os.environ.get('TF_CPP_MIN_LOG_LEVEL'))
  cli.run(cli.Parser('x', ''), lambda args: command(args), flags)
  assert found == [level]


def test_a_device_out_of_memory_is_one_line():
  def command(args):
    raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory, 9 bytes.\n\nPeak')

  parser = cli.Parser('uda_jax.x', '')
  with pytest.raises(SystemExit) as stopped:
    cli.run(parser, command, [])
  line = str(stopped.value)
  assert line.startswith('error: a device is out of memory (RESOURCE_EXHAUSTED')
  assert 'docs/methods.md' in line
  assert '\n' not in line
  with pytest.raises(RuntimeError):
    cli.run(parser, command, ['--debug'])


def test_another_runtime_error_is_not_hidden():
  def command(args):
    raise RuntimeError('a fault of the library')

  with pytest.raises(RuntimeError):
    cli.run(cli.Parser('uda_jax.x', ''), command, [])


def test_names_that_are_not_utf8_can_be_printed(monkeypatch):
  written = io.BytesIO()
  monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(written, 'utf8'))
  name = b'caf\xe9.png'.decode('utf8', 'surrogateescape')
  cli.run(
    cli.Parser('x', ''),
    lambda args: print(name, file=sys.stdout, flush=True),
    [],
  )
  assert written.getvalue() == b'caf\\udce9.png\n'


def test_ctrl_c_is_one_line(capsys):
  def stopped(args):
    raise KeyboardInterrupt

  with pytest.raises(SystemExit) as error:
    cli.run(cli.Parser('x', ''), stopped, [])
  assert error.value.code == 130
  assert capsys.readouterr().err == 'interrupted\n'


@pytest.mark.parametrize(
  'processes', [dict(num_processes=2), dict(process_id=1)]
)
def test_processes_without_a_coordinator_are_refused(processes):
  with pytest.raises(ValueError, match='--coordinator: expected host:port'):
    parallel.start_processes(**processes)
