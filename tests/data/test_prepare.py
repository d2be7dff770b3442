"""From published files, or your own folders, to predictions."""

import json
import re

import numpy as np
from PIL import Image
import pytest

from tests import tiny
from tests.data import raw_layouts
from uda_jax import configs
from uda_jax import models
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import networks
from uda_jax.configs.custom import self_training as custom
from uda_jax.configs.streets import source_only
from uda_jax.data import datasets
from uda_jax.data import prepare
from uda_jax.predict import __main__ as predict
from uda_jax.train import loop


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
  """Instead of the compact one: nothing here is about networks."""
  monkeypatch.setitem(
    models.MODELS,
    'compact',
    lambda config, num_classes: tiny.network(num_classes),
  )


@pytest.fixture(name='root', scope='module')
def _root(tmp_path_factory):
  return raw_layouts.write(tmp_path_factory.mktemp('data'))


def _prepare(config, monkeypatch, capsys, parts=datasets.PARTS):
  """Returns the output of the command, and its exit code."""
  monkeypatch.setattr(configs, 'load', lambda name: config)
  return _command(capsys, '--config=this', f'--parts={",".join(parts)}')


def _command(capsys, *flags):
  """Returns output and exit code of the command with any flags."""
  code = 0
  try:
    prepare.main(flags)
  except SystemExit as stopped:
    code = int(stopped.code)
  return capsys.readouterr().out, code


def _train(config, workdir):
  """Two steps and the evaluation."""
  config.steps, config.devices = 2, 1
  config.model = networks.compact()
  config.optim.groups = ()  # patterns of the config's own network
  config.log.panels_every = 0
  config.eval.label_free.num_images = 0
  loop.run(config, workdir)
  return json.loads((workdir / 'results.json').read_text())


def _predict(workdir, images, out):
  predict.main([f'--workdir={workdir}', f'--images={images}', f'--out={out}'])
  return sorted((out / 'ids').rglob('*.png'))


def _frozen(folder):
  """All files, and when each was written."""
  return {
    path: path.stat().st_mtime_ns
    for path in folder.rglob('*')
    if path.is_file()
  }


@pytest.mark.parametrize(
  'name, folder, means',
  [
    ('gta5_to_cityscapes', 'cityscapes/leftImg8bit/val', {}),
    (
      'synthia_to_cityscapes',
      'cityscapes/leftImg8bit/val',
      benchmarks.synthia_means(),
    ),
    (
      'synthia_16_to_cityscapes',
      'cityscapes/leftImg8bit/val',
      benchmarks.synthia_16_means(),
    ),
    ('cityscapes_to_acdc', 'acdc/rgb_anon', {}),
    ('cityscapes_to_dark_zurich', 'dark_zurich/rgb_anon/val', {}),
    ('camvid_to_idd', 'idd_lite/images', {}),
    ('camvid_day_to_dusk', 'camvid/images', {}),
  ],
)
def test_benchmark(root, tmp_path, monkeypatch, capsys, name, folder, means):
  """Rendered streets go the same way in test_end_to_end."""
  config = source_only.get_config()
  config.data = getattr(benchmarks, name)()
  config.data.update(
    root=str(root),
    cache_dir=str(tmp_path / 'cache'),
    crop_size=(8, 8),
    source_image_size=(10, 16),
    target_image_size=(10, 16),
    eval_image_size=(8, 12),
  )
  config.eval.subsets = means
  config.eval.target_statistics = 0
  printed, code = _prepare(config, monkeypatch, capsys)
  assert code == 0, printed
  assert ('2975 are published' in printed) == ('cityscapes' in name)
  assert ('00002.png: 8 x 11, brought' in printed) == ('gta5' in name)
  before = _frozen(tmp_path / 'cache')
  results = _train(config, tmp_path / 'run')
  assert _frozen(tmp_path / 'cache') == before
  assert set(results['student']['miou']) == {'all classes', *means}
  images = [
    p for p in (root / folder).rglob('*') if p.suffix in ('.png', '.jpg')
  ]
  assert (
    len(_predict(tmp_path / 'run', root / folder, tmp_path / 'out'))
    == len(images)
    > 0
  )


def _own_folders(root):
  """JPEGs of odd sizes; labels hold 0, 1, 255, or a mistake."""
  random = np.random.default_rng(0)
  for folder in ('A', 'B'):
    for kind in ('images', 'labels'):
      (root / folder / kind).mkdir(parents=True)
    for number, size in enumerate(((37, 53), (61, 29), (40, 71))):
      label = np.zeros(size, np.uint8)
      label[size[0] // 2 :], label[0] = 1, 255
      image = 90 * label[..., None] + random.integers(0, 60, (*size, 3))
      Image.fromarray(image.astype(np.uint8)).save(
        root / folder / f'images/{number}.jpg'
      )
      Image.fromarray(label).save(root / folder / f'labels/{number}.png')
  for path in (root / 'B/labels').iterdir():
    path.unlink()


def test_two_folders_of_ones_own(tmp_path, monkeypatch, capsys):
  _own_folders(tmp_path)
  config = custom.get_config()
  config.method = common.source_only()
  config.optim.groups = ()
  config.teacher = common.no_teacher()
  config.eval.network = 'student'
  config.data.update(
    root=str(tmp_path),
    cache_dir=str(tmp_path / 'cache'),
    source_image_size=(32, 48),
    target_image_size=(32, 48),
    crop_size=(24, 40),
  )
  bad = tmp_path / 'A/labels/3.png'
  Image.open(tmp_path / 'A/images/0.jpg').save(tmp_path / 'A/images/3.jpg')
  Image.fromarray(np.full((37, 53), 7, np.uint8)).save(bad)
  printed, code = _prepare(config, monkeypatch, capsys)
  assert code == 1 and 'A/labels/3.png' in printed and 'got 7 in' in printed
  assert 'config.data.source.label_map' in printed
  report = (tmp_path / 'cache/errors_source.txt').read_text()
  assert 'A/labels/3.png' in report and len(report.splitlines()) == 1
  assert '3 images' in printed.partition('target: B')[2]
  Image.fromarray(np.ones((37, 53), np.uint8)).save(bad)
  printed, code = _prepare(config, monkeypatch, capsys)
  assert code == 0 and '2 of 37 x 53' in printed and 'car ' in printed
  page = tmp_path / 'cache/labels_source.png'
  assert f'look at the labels: {page}' in printed
  assert not (tmp_path / 'cache/labels_target.png').exists()
  with Image.open(page) as picture:
    seen = np.asarray(picture).reshape(-1, 3)
  # The colors of both classes are on it, as they are in the config's palette.
  for color in datasets.load_part(config.data, 'source').palette:
    assert (seen == color).all(1).mean() > 0.05
  results = _train(config, tmp_path / 'run')
  assert 0 <= results['student']['miou']['all classes'] <= 1
  ids, *_ = _predict(tmp_path / 'run', tmp_path / 'B/images', tmp_path / 'out')
  label = np.asarray(Image.open(ids))
  assert label.shape == (37, 53) and set(np.unique(label)) <= {0, 1}


@pytest.mark.parametrize('name', benchmarks.DATASETS)
def test_a_data_set_by_itself(root, tmp_path, capsys, name):
  printed, code = _command(
    capsys,
    f'--dataset={name}',
    f'--source={root / name}',
    f'--out={tmp_path}',
  )
  assert code == 0 and re.search(r'\d images? \(height x', printed), printed
  # Training, whose roots are written otherwise, finds what was made.
  before = _frozen(tmp_path)
  data = benchmarks.DATASETS[name]()
  data.update(root=str(root), cache_dir=str(tmp_path))
  for part in datasets.PARTS:
    if data[part]:
      assert f'--config.data.{part}.root={root / name}' in printed
      datasets.load_part(data, part)
  assert _frozen(tmp_path) == before


@pytest.mark.parametrize(
  'flags, message',
  [
    (('--dataset=gta', '--source=x'), "--dataset: expected one of ['gta5'"),
    (('--dataset=gta5',), '--source: expected the folder of gta5'),
    ((), '--config, --dataset: expected one of them, got neither'),
    (
      ('--config=custom/source_only', '--out=x'),
      '--source, --out: expected',
    ),
    (
      ('--dataset=gta5', '--source=x', '--parts=target'),
      "--parts: expected some of what there is, ['source']",
    ),
  ],
)
def test_flags_that_do_not_fit(flags, message):
  with pytest.raises(SystemExit) as stopped:
    prepare.main(flags)
  assert message in str(stopped.value)


def test_parts_and_what_is_missing(root, tmp_path, monkeypatch, capsys):
  config = source_only.get_config()
  config.data = benchmarks.gta5_to_cityscapes()
  config.data.update(root=str(root), cache_dir=str(tmp_path))
  config.data.target.root = 'nowhere'
  printed, code = _prepare(config, monkeypatch, capsys, ['source', 'target'])
  assert code == 1 and '2 images' in printed and 'evaluation' not in printed
  assert 'config.data.target.root: expected a folder' in printed
  assert printed.endswith('\nnot usable: target; see the errors above\n')
  with pytest.raises(SystemExit, match="got 'sorce'"):
    prepare.main(['--config=this', '--parts=sorce'])
