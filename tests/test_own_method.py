"""The files of docs/own_method.md run from a folder outside this repository."""

import pathlib
import re

import numpy as np
from PIL import Image
import pytest

from tests import tiny
from uda_jax import configs
from uda_jax import methods
from uda_jax import models
from uda_jax import predict
from uda_jax import train
from uda_jax.augment import dacs_jitter
from uda_jax.configs.blocks import common
from uda_jax.models import encoder_decoder
from uda_jax.predict import __main__ as predict_command

PAGE = pathlib.Path(__file__).parents[1] / 'docs/own_method.md'
# A block of code ends with this many lines or less.
_LONGEST = 35


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """The files of the page by name, in a folder of their own."""
  folder = tmp_path_factory.mktemp('elsewhere')
  found = {}
  for code in re.findall('```python\n(.*?)```', PAGE.read_text(), re.DOTALL):
    name = re.match(r'"""my/(\w+)\.py: ', code)[1]
    found[name] = folder / f'{name}.py'
    found[name].write_text(code)
    assert len(code.splitlines()) <= _LONGEST, name
  yield found
  for name in ('entropy', 'teacher'):
    methods.BASES.pop(name, None)
  encoder_decoder.ENCODERS.pop('mine', None)


def _tiny(config, cache):
  """Makes a run of two steps of a config."""
  with config.unlocked():
    config.update(steps=2, devices=1)
    for name in ('source', 'target', 'evaluation'):
      if config.data[name].kind == 'streets':
        config.data[name].update(num_images=4, image_size=(32, 64))
    config.data.update(cache_dir=str(cache), crop_size=(32, 64))
    config.log.update(panels_every=0, every=1)
    config.eval.label_free.num_images = 0
    config.schedule.warmup_steps = 1
  return config


@pytest.fixture
def run(files, tmp_path, tmp_path_factory, monkeypatch):
  """Trains a file of the page; returns the result and what was logged."""
  monkeypatch.chdir(tmp_path)
  # It compiles fast.
  monkeypatch.setitem(
    models.MODELS,
    'compact',
    lambda config, num_classes: tiny.network(num_classes, config.in_channels),
  )
  still = lambda key, pixels: pixels
  monkeypatch.setattr(dacs_jitter, 'strong_augment', still)
  cache = tmp_path_factory.getbasetemp() / 'own_method_cache'

  def call(name, method=None, **data):
    config = _tiny(configs.load(files[name]), cache)
    config.data.update(data)
    if method is not None:  # in which no pass renews the teacher's statistics
      config.method, config.teacher.copy_stats_every = method, 1
    logger = Seen()
    result = train.run(
      config, tmp_path / 'run', progress=False, loggers=[logger]
    )
    return result, logger

  return call


class Seen:
  """A logger that keeps what it gets."""

  def __init__(self):
    self.scalars, self.images, self.closed = {}, {}, 0

  def log_scalars(self, step, scalars):
    self.scalars.setdefault(step, {}).update(scalars)

  def log_images(self, step, images):
    self.images.setdefault(step, {}).update(images)

  def close(self):
    self.closed += 1


@pytest.mark.parametrize('name', ['entropy', 'teacher'])
def test_a_loss_and_a_method(run, name):
  result, logger = run(name)
  assert result.run.config.method.name == name
  assert np.isfinite(result.reports['teacher']['miou']['all classes'])
  term = {'entropy': 'entropy', 'teacher': 'target'}[name]
  assert all(np.isfinite(logger.scalars[s][f'loss/{term}']) for s in (1, 2))
  assert logger.closed == 1


def test_an_encoder_trains_and_predicts(run, files, tmp_path):
  run('encoder', common.source_only())
  segment = predict.load('run')
  label, confidence = segment(np.zeros((1, 20, 30, 3), np.uint8))
  assert label.shape == confidence.shape == (1, 20, 30)
  Image.new('RGB', (30, 20)).save('photo.png')
  # A command in a process of its own does not know the encoder.
  del encoder_decoder.ENCODERS['mine']
  args = ['--workdir=run', '--images=photo.png', '--out=out']
  with pytest.raises(SystemExit, match="config.model.encoder: got 'mine'"):
    predict_command.main(args)
  predict_command.main([*args, f'--import={files["encoder"]}'])
  assert (tmp_path / 'out/ids/photo.png').is_file()
  with pytest.raises(SystemExit, match='--import=no.py: FileNotFoundError'):
    predict_command.main([*args, '--import=no.py'])


def test_a_data_set(run, tmp_path):
  random = np.random.default_rng(0)
  for folder in ('sim', 'street', 'test'):
    (tmp_path / folder).mkdir()
  colors = np.array([(128, 64, 128), (0, 0, 0), (255, 255, 255)], np.uint8)
  for i in range(4):
    image = Image.fromarray(random.integers(0, 256, (40, 70, 3), np.uint8))
    label = Image.fromarray(colors[random.integers(0, 3, (40, 70))])
    image.save(f'sim/{i}_rgb.png')
    label.save(f'sim/{i}_mask.png')
    image.save(f'street/{i}.jpg')
    image.save(f'test/{i}.jpg')
    label.save(f'test/{i}.png')
  result, _ = run('data', root=str(tmp_path))
  assert list(result.reports['teacher']['iou']) == ['ground', 'rest']
