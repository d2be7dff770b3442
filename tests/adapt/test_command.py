"""The command on tiny rendered folders: dry run, whole run, resumption."""

import json
import os
import pathlib
import signal

import numpy as np
from PIL import Image
import pytest

from tests import tiny
from uda_jax import configs
from uda_jax import models
from uda_jax.adapt import __main__ as adapt
from uda_jax.adapt import measure
from uda_jax.adapt import stages
from uda_jax.data.streets import render
from uda_jax.train import checks
from uda_jax.train import loop

TINY = """
  config.model.name = 'tiny'
  config.compile_cache = ''
  return config
"""


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  """A clean source and a camera-like target, with labels of a few."""
  root = tmp_path_factory.mktemp('data')

  def write(name, first, count, gap, ending):
    for kind in ('images', 'labels'):
      (root / name / kind).mkdir(parents=True)
    for i in range(count):
      image, label = render.render(
        0, first + i, size=(32, 64), style=render.style(gap=gap)
      )
      Image.fromarray(image).save(root / f'{name}/images/{i:02d}.{ending}')
      # Two classes: ground (road and sidewalk), and all others.
      mask = np.where(label <= 1, 255, 0).astype(np.uint8)
      Image.fromarray(mask).save(root / f'{name}/labels/{i:02d}.png')

  write('A', 0, 12, (0.0, 0.0), 'jpg')
  write('B', 100, 8, (0.2, 0.8), 'png')
  for path in sorted((root / 'B/labels').iterdir())[4:]:
    path.unlink()
  (root / 'A/classes.txt').write_text('others\nground\n')
  return root


@pytest.fixture
def command(folders, tmp_path):
  """Calls the command on the folders; returns its directory."""

  def call(*flags, out=tmp_path / 'run', labels=True):
    adapt.main(
      [
        f'--source={folders}/A/images',
        f'--source_labels={folders}/A/labels',
        f'--target={folders}/B/images',
        *([f'--target_labels={folders}/B/labels'] if labels else []),
        f'--out={out}',
        '--size=32x64',
        '--crop=32x64',
        '--steps=6',
        '--network=compact',
        *flags,
      ]
    )
    return out

  return call


def test_a_dry_run_shows_and_writes_a_config(command, capsys):
  run = command('--dry_run')
  printed = capsys.readouterr().out
  assert '12  12 of 32 x 64' in printed and '4  for scores alone' in printed
  assert 'ground                         255' in printed
  assert 'crop 32x64: --crop  [--crop]' in printed
  assert '0 and 255 alone: 255 is the second class' in printed
  assert '4 of the images are also adapted to, without' in printed
  assert not (run / 'source_only').exists()
  config, baseline = (
    configs.load(run / f'{name}.py') for name in ('config', 'source_only')
  )
  for found in (config, baseline):
    checks.check_config(found)
    # Of several devices here.
    checks.check_devices(found)
  assert config.data.source.class_names == ('others', 'ground')
  assert config.data.source.label_map == ((0, 0), (255, 1))
  assert config.steps == 6 and config.method.name == 'self_training'
  assert baseline.method.name == 'source_only' and not baseline.teacher.use
  assert (baseline.eval.checkpoint, baseline.eval.patience) == ('last', 0)
  assert config.checkpoint.best == 'prior'
  assert config.data.target.labels == ''
  assert (run / 'found/held_out.txt').read_text() == '11\n'
  assert (run / 'found/scored.txt').read_text().split() == [
    '00',
    '01',
    '02',
    '03',
  ]
  page = np.asarray(Image.open(run / 'found/source.png'))
  assert page.shape[1] > 900
  # Target labels change nothing of the run.
  text = (run / 'config.py').read_text()
  assert 'B/labels' not in text
  command('--dry_run', labels=False)
  assert (run / 'config.py').read_text() == text
  assert 'on held-out source images' in capsys.readouterr().out
  # Other flags decide anew, while nothing is edited or trained.
  command('--dry_run', '--seed=3')
  assert configs.load(run / 'config.py').seed == 3


def _edit(run):
  """Selects the tiny network in the config, as a person would."""
  path = run / 'config.py'
  text = path.read_text()
  assert text.endswith('  return config\n')
  path.write_text(text.removesuffix('  return config\n') + TINY)


def test_an_edited_config_is_kept(command):
  run = command('--dry_run')
  _edit(run)
  text = (run / 'config.py').read_text()
  command('--dry_run')
  assert (run / 'config.py').read_text() == text
  with pytest.raises(SystemExit, match='edited config.py with other flags .*3'):
    command('--dry_run', '--seed=3')


def test_a_whole_run_that_is_stopped_and_resumed(
  command, folders, monkeypatch, capsys
):
  monkeypatch.setitem(
    models.MODELS, 'tiny', lambda config, classes: tiny.network(classes)
  )
  monkeypatch.setitem(models.IMPORTERS, 'tiny', models.IMPORTERS['compact'])
  monkeypatch.setattr(measure, '_SECONDS', 0.0)
  run = command('--dry_run', labels=False)
  _edit(run)
  monkeypatch.setattr(
    stages.interrupts, 'leave', lambda code: (_ for _ in ()).throw(Left(code))
  )
  after = loop._after_step

  def stop(parts, state, metrics, step):
    if parts.run.workdir.name == 'adapted' and step == 3:
      os.kill(os.getpid(), signal.SIGTERM)
    return after(parts, state, metrics, step)

  monkeypatch.setattr(loop, '_after_step', stop)
  with pytest.raises(Left, match='75'):
    command(labels=False)
  monkeypatch.setattr(loop, '_after_step', after)
  record = json.loads((run / 'adapt.json').read_text())
  assert list(record['stages']) == ['measure', 'source_only']
  capsys.readouterr()
  command(labels=False)
  printed = capsys.readouterr().out
  assert '[2/8] train on the source alone: done' in printed
  assert '[3/8] adapt to the target: done' not in printed
  _check_outputs(run, printed)
  assert 'Scores on A/images, held out, in percent' in printed
  # Labels that come later are scored on, and shown.
  command()
  printed = capsys.readouterr().out
  assert 'Scores on B/images, in percent' in printed
  assert printed.count(': done') == 6
  results = json.loads((run / 'adapted/results.json').read_text())
  assert set(results) == {'student', 'teacher', 'best', 'best, on B/images'}
  # Nothing is left to do, and nothing is done again.
  times = {
    path: path.stat().st_mtime_ns for path in (run / 'adapted').iterdir()
  }
  command()
  assert capsys.readouterr().out.count(': done') == 8
  for path, time in times.items():
    assert path.stat().st_mtime_ns == time
  (run / 'config.py').write_text((run / 'config.py').read_text() + '\n')
  with pytest.raises(SystemExit, match='expected the file as training started'):
    command()


class Left(BaseException):
  """Stands for the end of the process with an exit code."""


def _check_outputs(run: pathlib.Path, printed: str) -> None:
  results = json.loads((run / 'adapted/results.json').read_text())
  assert results['best']['selected'] == (
    'selected by prior, without target labels'
  )
  record = json.loads((run / 'adapt.json').read_text())
  chosen = record['stages']['choose']
  shifts = [
    record['stages'][name][row]['label_free']['shift']
    for name, row in (('source_only', 'student'), ('adapted', 'best'))
  ]
  lost = shifts[1] > shifts[0] + stages.MOST_SHIFT
  assert chosen == ('source_only' if lost else 'adapted')
  assert f'chosen: {chosen}' in printed
  assert (run / 'results.txt').read_text() in printed
  for kind in ('ids', 'color', 'overlay'):
    assert len(list((run / 'predictions' / kind).glob('*.png'))) == 8
  for name in ('network.stablehlo', 'network.json', 'network.safetensors'):
    assert (run / 'exported' / name).is_file()
  page = (run / 'report.html').read_text()
  assert 'Target images: predictions of the runs side by side' in page


@pytest.mark.parametrize(
  'flags, message',
  [
    (['--target=/nowhere'], '--target: expected a folder'),
    (['--test=/nowhere', '--target_labels='], '--test: expected --target_l'),
    (['--classes=/nowhere'], '--classes: expected a file, found none at'),
    (['--minutes=3'], '--minutes, --steps: expected one of them'),
  ],
)
def test_mistakes_are_one_line(command, flags, message):
  with pytest.raises(SystemExit, match=message) as error:
    command('--dry_run', *flags)
  assert '\n' not in str(error.value)


def test_outputs_are_not_written_among_images(command, folders):
  with pytest.raises(SystemExit, match='--out: expected a folder outside of'):
    command('--dry_run', out=folders / 'B/images/run')
  with pytest.raises(SystemExit, match='other images than --source'):
    command('--dry_run', f'--target={folders}/A/images')
  with pytest.raises(SystemExit, match='other images than --source'):
    command('--dry_run', f'--target={folders}/A/images/*.jpg')


def test_folders_of_any_name(command, folders, tmp_path):
  for name in (os.fsdecode(b'caf\xe9'), '"mine" {x}', 'a"""'):
    (tmp_path / name).symlink_to(folders / 'A')
    run = tmp_path / f'run of {name}'
    command(
      *('--dry_run', f'--source={tmp_path / name}/images'),
      f'--source_labels={tmp_path / name}/labels',
      out=run,
    )
    found = configs.load(run / 'config.py').data.source.images
    assert f'{name}/images' in found


def test_a_directory_of_something_else(command, tmp_path):
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other/config.py').touch()
  with pytest.raises(SystemExit, match='has a config.py but no adapt.json'):
    command('--dry_run', out=tmp_path / 'other')


@pytest.mark.parametrize('flag', ['--minutes=0', '--ignore=x', '--look=-1'])
def test_wrong_flags(command, flag, capsys):
  with pytest.raises(SystemExit) as error:
    command(flag)
  assert error.value.code == 2 and capsys.readouterr().err.count('\n') == 1
