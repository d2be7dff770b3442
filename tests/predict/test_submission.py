"""Archives for test servers: complete, in their layout, or one line."""

import io
import zipfile

import jax
import numpy as np
from PIL import Image
import pytest

from tests import small_config
from uda_jax import models
from uda_jax import pictures
from uda_jax.predict import archive
from uda_jax.predict import submission
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance

NAMES = ('road', 'sky', 'car')
TRAIN_IDS, LABEL_IDS = (0, 10, 13), (7, 23, 26)
PALETTE = ((128, 64, 128), (70, 130, 180), (0, 0, 142))
SIZE = (32, 48)
STEMS = [f'GOPR0475_frame_{n:06d}_rgb_anon' for n in (3, 11)]


@pytest.fixture(name='run', scope='module')
def _run(tmp_path_factory):
  """The directory of a run."""
  workdir = tmp_path_factory.mktemp('run')
  config = small_config.get_config()
  network = models.build(config, len(NAMES))
  provenance.run_manifest(
    workdir, config, {'classes': {'names': NAMES, 'palette': PALETTE}}
  )
  with checkpoint.Checkpoints(workdir, every_steps=1) as saved:
    variables = network.init(jax.random.key(1), SIZE)
    saved.save_best(1, variables, {'value': 0.5})
  return workdir


@pytest.fixture(name='images')
def _images(tmp_path, monkeypatch):
  """Test splits of two images, in folders of conditions."""
  for name, server in archive.SERVERS.items():
    tiny = server._replace(images=2, size=SIZE)
    monkeypatch.setitem(archive.SERVERS, name, tiny)
  random = np.random.default_rng(0)
  for stem, condition in zip(STEMS, ('fog', 'night')):
    path = tmp_path / 'acdc' / condition / 'test' / f'{stem}.png'
    pictures.write_png(path, random.integers(0, 256, (*SIZE, 3), np.uint8))
  return tmp_path / 'acdc'


def _submit(run, images, out, dataset='acdc'):
  submission.main(
    [
      f'--workdir={run}',
      f'--dataset={dataset}',
      f'--images={images}',
      f'--out={out}',
      '--network=best',
    ]
  )


def _read(out):
  with zipfile.ZipFile(out) as file:
    assert file.testzip() is None
    return {
      name: np.asarray(Image.open(io.BytesIO(file.read(name))))
      for name in file.namelist()
    }


def test_acdc_takes_train_ids(run, images, tmp_path):
  _submit(run, images / '*/test/*.png', tmp_path / 'x.zip')
  found = _read(tmp_path / 'x.zip')
  assert sorted(found) == [f'labelTrainIds/{stem}.png' for stem in STEMS]
  for pixels in found.values():
    assert pixels.shape == SIZE and pixels.dtype == np.uint8
    assert set(np.unique(pixels)) <= set(TRAIN_IDS)
  assert len(np.unique(np.stack(list(found.values())))) > 1


def test_dark_zurich_takes_three_folders(run, images, tmp_path):
  _submit(run, images, tmp_path / 'x.zip', 'dark_zurich')
  found = _read(tmp_path / 'x.zip')
  for stem in STEMS:
    label, other, confidence = (
      found.pop(f'{folder}/{stem}.png')
      for folder in ('labelTrainIds', 'labelTrainIds_invalid', 'confidence')
    )
    np.testing.assert_array_equal(label, other)
    assert confidence.max() > 255 and confidence.shape == SIZE
    # The most probable of three classes.
    assert confidence.min() >= 65535 // 3
  assert not found


def test_cityscapes_takes_label_ids(run, images, tmp_path):
  for number, stem in enumerate(STEMS):
    path = next(images.rglob(f'{stem}.png'))
    path.rename(path.with_name(f'bonn_00000{number}_000019_leftImg8bit.png'))
  _submit(run, images, tmp_path / 'x.zip', 'cityscapes')
  found = _read(tmp_path / 'x.zip')
  assert 'results/bonn_000001_000019_leftImg8bit.png' in found
  assert set(np.unique(list(found.values()))) <= set(LABEL_IDS)


def _refused(run, images, out, message, dataset='acdc'):
  with pytest.raises(SystemExit, match=message) as stopped:
    _submit(run, images, out, dataset)
  text = str(stopped.value)
  assert text.startswith('error: ') and '\n' not in text
  assert not list(out.parent.glob('*.zip'))


def test_an_incomplete_split_is_one_line(run, images, tmp_path):
  out = tmp_path / 'x.zip'
  first, second = (next(images.rglob(f'{stem}.png')) for stem in STEMS)
  _refused(run, images, tmp_path / 'x.tar', r'--out: expected a file \.zip')
  _refused(run, first, out, 'expected the 2 test images of acdc, got 1 in')
  _refused(run, images, out, 'got 2 of other names', 'cityscapes')
  content = second.read_bytes()
  second.write_bytes(content[:60])
  _refused(run, images, out, f'no archive was written|{second.name}')
  pictures.write_png(second, np.zeros((16, 16, 3), np.uint8))
  _refused(run, images, out, r'of 32 x 48 pixels .*, got 16 x 16: .*000011')
  second.write_bytes(content)
  again = images / 'rain' / first.name
  again.parent.mkdir()
  again.write_bytes(content)
  _refused(run, images, out, 'each once, got .*rgb_anon.png and .*rgb_anon.png')


def test_other_classes_than_those_of_cityscapes():
  with pytest.raises(ValueError, match="a class 'drivable'"):
    archive.ids_of(('road', 'drivable'), 'train')


def test_the_published_splits():
  counts = {name: s.images for name, s in archive.SERVERS.items()}
  assert counts == {'acdc': 2000, 'dark_zurich': 151, 'cityscapes': 1525}
