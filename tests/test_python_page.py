"""docs/python.md: its calls reach the commands, its loggers get the curves."""

import pathlib
import re
import sys
import types

import jax
import numpy as np
from PIL import Image
import pytest

from tests import small_config
from tests import tiny
from uda_jax import calls
from uda_jax import configs
from uda_jax import evaluate
from uda_jax import export
from uda_jax import predict
from uda_jax import train
from uda_jax.evaluate import command as evaluate_command
from uda_jax.predict import __main__ as predict_command
from uda_jax.predict import network as network_lib
from uda_jax.runs import provenance
from uda_jax.runs import restore
from uda_jax.runs import writers

PAGE = pathlib.Path(__file__).parents[1] / 'docs/python.md'
NAMES = ('road', 'sky', 'car')


@pytest.fixture
def run(tmp_path, monkeypatch):
  """A run of the tiny network in runs/first, as the page has it."""
  monkeypatch.chdir(tmp_path)
  network = tiny.network(len(NAMES))
  classes = {'names': NAMES, 'palette': ((0, 0, 0),) * 3}
  config = small_config.get_config()
  provenance.run_manifest('runs/first', config, {'classes': classes})
  trained = restore.Trained(
    config,
    NAMES,
    classes['palette'],
    network,
    network.init(jax.random.key(3), (8, 8)),
  )
  monkeypatch.setattr(restore, 'load', lambda workdir, which: trained)
  return trained


def _blocks(word):
  """The blocks of code of the page that have a word."""
  blocks = re.findall('```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
  return [block for block in blocks if word in block]


@pytest.mark.usefixtures('run')
def test_the_calls_of_the_page(tmp_path, monkeypatch, caplog):
  (tmp_path / 'photos').mkdir()
  Image.new('RGB', (30, 20), (90, 10, 200)).save('photos/a.jpg')
  seen = {}
  result = types.SimpleNamespace(reports={'teacher': {'miou': 0.5}})
  monkeypatch.setattr(
    train, 'run', lambda *args: seen.update(train=args) or result
  )
  score = lambda args, config: seen.update(score=args) or {'teacher': {}}
  monkeypatch.setattr(evaluate_command, 'run', score)
  (code,) = _blocks('evaluate.run')
  names = {}
  exec(code, names)
  assert seen['train'][1] == 'runs/first' and seen['train'][0].steps == 2000
  assert seen['train'][0].method.add == ('masking',)
  assert seen['score'].flip and seen['score'].workdir.name == 'first'
  assert (tmp_path / 'segmented/confidence/a.png').is_file()
  assert names['about']['input']['shape'] == [1, 96, 192, 3]
  assert names['rows'] == {'teacher': {}}
  assert ' 1 picture in segmented' in caplog.text


def test_a_function_of_images(run):
  turned = Image.Exif()
  turned[0x0112] = 6  # a phone's photo, stored on its side
  Image.new('RGB', (20, 30), (90, 10, 200)).save('photo.jpg', exif=turned)
  (code,) = _blocks('predict.load')
  names = {}
  exec(code, names)
  assert names['label'].shape == names['confidence'].shape == (1, 20, 30)
  segment = predict.load('runs/first', size=(8, 8))
  assert isinstance(segment, network_lib.Predict)
  assert segment.rule.size == (8, 8) and segment.trained is run


@pytest.mark.usefixtures('run')
def test_wrong_arguments():
  parser = predict_command.parser()
  args = calls.arguments(parser, workdir='a', images='b', out='c', size='6x8')
  assert args.size == (6, 8) and args.batch_size == 1 and not args.debug
  with pytest.raises(TypeError, match='no_such: there is no such argument of'):
    predict.run('runs/first', 'photos', 'out', no_such=1)
  with pytest.raises(ValueError, match="network: expected one of .* got 'a'"):
    export.run('runs/first', 'out', network='a')
  with pytest.raises(ValueError, match='size: expected HEIGHTxWIDTH such'):
    predict.run('runs/first', 'photos', 'out', size='5')
  with pytest.raises(ValueError, match='--out: expected another folder'):
    evaluate.run('runs/first', 'runs/first')


class _Tracker(types.SimpleNamespace):
  """A stand-in of a tracker: every function keeps its calls."""

  def __init__(self):
    super().__init__(calls=[])

  def __getattr__(self, name):
    if name.startswith('__'):
      raise AttributeError(name)

    def call(*args, **kwargs):
      self.calls.append((name, args, kwargs))
      return self

    return call


@pytest.mark.parametrize(
  ('word', 'expected'),
  [
    ('class Print', []),
    ('import wandb', ['init', 'log', 'Image', 'log', 'finish']),
    (
      'import mlflow',
      ['start_run', 'log_params', 'log_metrics', 'log_image', 'end_run'],
    ),
  ],
)
def test_the_loggers_of_the_page(word, expected, tmp_path, monkeypatch, capsys):
  tracker = _Tracker()
  for name in ('wandb', 'mlflow'):
    monkeypatch.setitem(sys.modules, name, tracker)
  given = []
  monkeypatch.setattr(
    train, 'run', lambda config, workdir, loggers: given.extend(loggers)
  )
  (code,) = _blocks(word)
  exec(code, {'train': train, 'config': configs.load('streets/mic')})
  with writers.Writer(
    tmp_path, num_steps=1, images_per_step=4, every=1, loggers=given
  ) as writer:
    writer.step(1, {'loss/total': np.float32(0.5)})
    writer.panels(1, {'image': np.zeros((1, 8, 8, 3), np.uint8)})
  assert [name for name, *_ in tracker.calls] == expected
  if expected:
    numbers = next(c for c in tracker.calls if c[0] in ('log', 'log_metrics'))
    assert numbers[1:] == (({'loss/total': 0.5},), {'step': 1})
  else:
    assert capsys.readouterr().out == '1 0.5\n'


def test_a_logger_that_fails_is_named_and_left_out(tmp_path, caplog):
  class Broken:
    calls = 0

    def log_scalars(self, step, scalars):
      self.calls += 1
      raise ConnectionError('no server')

    def log_images(self, step, images):
      raise AssertionError

    close = log_images

  broken = Broken()
  with writers.Writer(
    tmp_path, num_steps=2, images_per_step=4, every=1, loggers=[broken]
  ) as writer:
    for step in (1, 2):
      writer.step(step, {'loss/total': np.float32(step)})
  assert broken.calls == 1
  assert 'Broken failed and gets nothing more' in caplog.text
  assert 'ConnectionError: no server' in caplog.text
