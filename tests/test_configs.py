"""Tests that every config loads, and the one-line errors of those that fail."""

import os
import pathlib
import re
import subprocess
import sys

import ml_collections
import pytest

from benchmarks import ablations
from uda_jax import configs
from uda_jax import methods
from uda_jax import models
from uda_jax.configs import resolved

ROOT = pathlib.Path(__file__).parents[1]
NAMES = list(configs.paths())


@pytest.mark.parametrize('name', NAMES)
def test_config(name):
  config = configs.load(name)
  num_classes = len(config.data.source.get('class_names', range(11)))
  assert methods.make(config.method, num_classes).loss
  assert config.model.name in models.MODELS
  assert config.teacher.use or config.eval.network == 'student'
  with pytest.raises(AttributeError):
    config.no_such_field = 1
  assert f'--config={name} ' in configs.paths()[name].read_text()


def test_a_reader_that_stops_reading_is_no_error():
  # As `python -m uda_jax.configs | head`.
  ours, theirs = os.pipe()
  os.close(ours)
  command = [sys.executable, '-m', 'uda_jax.configs']
  done = subprocess.run(command, cwd=ROOT, stdout=theirs, stderr=-1, text=True)
  os.close(theirs)
  assert (done.returncode, done.stderr) == (0, '')


def test_two_calls_give_two_configs():
  first, second = configs.load(NAMES[0]), configs.load(NAMES[0])
  first.data.source.name = 'changed'
  assert second.data.source.name != 'changed'


def test_only_the_oracle_reads_target_labels():
  for name in NAMES:
    config = configs.load(name)
    same = config.data.source.to_dict() == config.data.target.to_dict()
    assert same == name.endswith('/oracle'), name


@pytest.mark.parametrize('method', ablations.ROWS)
def test_the_rows_of_ablations(method):
  rows = ablations.rows('streets', method)
  assert len(rows) == len(ablations.ROWS[method])
  assert 0 < len(ablations.rows('camvid_to_idd', method)) <= len(rows)
  for _, name, changes in rows:
    config = configs.load(f'streets/{name}')
    before = config.to_json()
    config.update_from_flattened_dict(changes)
    assert (config.to_json() != before) == bool(changes)
    assert methods.make(config.method, 11).loss


def test_ablations_of_what_there_is_not(capsys):
  with pytest.raises(SystemExit):
    ablations.main(['--methods=pipa,pipe'])
  expected = 'argument --methods: expected some of pixmatch, .*, got .pipe.'
  assert re.search(expected, capsys.readouterr().err)
  with pytest.raises(ValueError, match="--benchmark: expected .*'street'"):
    ablations.rows('street', 'pipa')


def _file(folder, text):
  path = folder / 'mine.py'
  path.write_text(text)
  return str(path)


def test_loads_a_file_of_ones_own(tmp_path):
  text = (
    'from uda_jax.configs.streets import mic\n'
    'def get_config():\n'
    '  config = mic.get_config()\n'
    '  config.steps = 3\n'
    '  return config\n'
  )
  assert configs.load(_file(tmp_path, text)).steps == 3


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('x = 1\n', r'mine.py: expected a function get_config\(\)$'),
    ('x = 1\ny = x +\n', 'mine.py, line 2: SyntaxError: '),
    ('import no_such\n', 'mine.py, line 1: ModuleNotFoundError: .*no_such'),
    ('def get_config():\n  return 1 / 0\n', 'line 2: ZeroDivisionError: '),
    ('def get_config():\n  return {}\n', 'return a .*ConfigDict, got dict'),
  ],
)
def test_a_file_that_is_no_config(tmp_path, text, expected):
  with pytest.raises(ValueError, match=expected) as error:
    configs.load(_file(tmp_path, text))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('name', 'expected'),
  [
    ('streets/pippa', 'no such config; did you mean streets/pipa; `python -m'),
    ('configs/streets/mik.py', 'no such file; did you mean streets/mic; `'),
    ('/else/configs/streets/mic.py', 'file; did you mean streets/mic; `'),
    (
      'pipa_cluda_mic',
      'did you mean camvid_day_to_dusk/pipa_.* or streets/pipa',
    ),
    ('mine.txt', "'mine.txt': there is no such config; `python -m"),
  ],
)
def test_a_config_that_there_is_not(name, expected):
  with pytest.raises(ValueError, match=expected):
    configs.load(name)


def test_loading_imports_neither_jax_nor_tensorflow():
  program = (
    'import sys\n'
    'from uda_jax import configs\n'
    'for name in configs.paths(): configs.load(name)\n'
    "print({'jax', 'tensorflow'} & set(sys.modules))"
  )
  printed = subprocess.run(
    [sys.executable, '-c', program],
    cwd=ROOT,
    text=True,
    capture_output=True,
    check=True,
  ).stdout
  assert printed.strip() == 'set()'


def test_resolved_configs_are_those_that_are_committed():
  """A change of any value shows as a diff of configs/resolved."""
  for name, text in resolved.files().items():
    assert (resolved.folder() / name).read_text() == text, (
      f'configs/resolved/{name} is not up to date: run '
      '`python -m uda_jax.configs --write` and commit what it changes'
    )
  assert {path.name for path in resolved.folder().iterdir()} == {
    *resolved.files()
  }


def test_the_text_of_a_config():
  config = ml_collections.ConfigDict(
    {'b': {'size': (1, 2), 'none': None}, 'a': 'x', 'empty': {}}
  )
  assert resolved.lines(resolved.as_text(config)) == [
    "a = 'x'",
    'b.none = None',
    'b.size = (1, 2)',
    'empty = {}',
  ]


def _run(*args):
  return subprocess.run(
    [sys.executable, '-m', 'uda_jax.configs', *args],
    cwd=ROOT,
    text=True,
    capture_output=True,
  )


def test_the_command_lists_all_configs():
  lines = _run().stdout.splitlines()
  assert [line.split()[0] for line in lines] == NAMES
  [line] = [line for line in lines if line.startswith('streets/oracle ')]
  assert line.split(maxsplit=1)[1].startswith("Training on the target's")


def test_the_command_prints_a_config_and_a_difference():
  lines = _run('streets/oracle').stdout.splitlines()
  assert 'optim.weight_decay = 0.0001' in lines
  changed = _run('streets/oracle', '--diff', 'streets/source_only').stdout
  assert (
    "- data.source.split = 'source_train'\n"
    "+ data.source.split = 'target_train'\n"
  ) in changed
  assert 'optim' not in changed


def test_an_error_of_the_command_is_one_line():
  failed = _run('streets/orakle')
  assert failed.returncode == 1
  assert failed.stderr.startswith("error: config 'streets/orakle': ")
  assert failed.stderr.count('\n') == 1
