"""A run on several sources, targets and evaluation sets, and its scores."""

import json
import pathlib

import pytest

from tests import tiny_config
from tests.data import raw_layouts
from uda_jax import evaluate
from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import rendered
from uda_jax.configs.blocks import several
from uda_jax.evaluate import __main__ as command_line
from uda_jax.runs import lineage
from uda_jax.runs import restore
from uda_jax.train import loop


def _streets(split, count, gap, weight=1.0):
  record = rendered.streets(split, num_images=count, gap=(gap, gap))
  record.image_size = (32, 64)
  record.name = f'{split} {gap}'
  return several.weighted(record, weight)


def _config(root):
  config = tiny_config.get_config()
  config.devices = 1
  config.steps = 2
  config.log.panels_every = 0
  config.checkpoint.every = 1
  with config.ignore_type():
    config.data.source = several.sets(
      game=_streets('source_train', 4, 0.0),
      other=_streets('source_test', 3, 0.3, weight=3.0),
    )
    config.data.target = several.sets(
      day=_streets('target_train', 4, 0.5),
      dusk=_streets('target_train', 4, 1.0),
    )
    config.data.evaluation = several.sets(
      day=_streets('target_test', 2, 0.5), dusk=_streets('target_test', 3, 1.0)
    )
  config.data.target_labels = '1/2'
  config.data.cache_dir = str(root / 'data')
  return config


@pytest.fixture(name='run', scope='module')
def _run(tmp_path_factory):
  root = tmp_path_factory.mktemp('several')
  result = loop.run(_config(root), root / 'run')
  return root, result


def test_a_row_for_each_set_after_the_mean(run):
  root, _ = run
  results = json.loads((root / 'run/results.json').read_text())
  sets = ['target_test 0.5', 'target_test 1.0']
  assert list(results) == [
    name
    for network in ('student', 'teacher')
    for name in (network, *(f'{network} on {one}' for one in sets))
  ]
  mean, *each = (results[n]['miou']['all classes'] for n in [*results][:3])
  assert mean == pytest.approx(sum(each) / 2)
  assert results['student']['sets'] == sets
  assert results['student']['images']['count'] == 5
  text = (root / 'run/results.txt').read_text()
  assert 'student, mean of 2 sets' in text
  assert 'student on target_test 1.0' in text


def test_the_manifest_lists_sets_and_labels(run):
  root, result = run
  manifest = json.loads((root / 'run/manifest.json').read_text())
  data = manifest['starts'][0]['data']
  assert data['source']['name'] == 'source_train 0.0 + source_test 0.3'
  assert data['source']['images'] == 7
  assert data['target_labels']['images'] == 4
  listed = manifest['target_labels']
  assert len(listed) == 4
  folders = {pathlib.PurePath(path).parts[0] for path in listed}
  assert len(folders) == 2 and not pathlib.PurePath(listed[0]).is_absolute()
  facts = lineage.declared(result.run.config, 'self_training', {})
  assert facts['saw_target_labels'] is True
  assert 'with 1/2 of its labels' in facts['trained_on']


def test_another_weight_is_another_run(run):
  root, _ = run
  config = _config(root)
  config.data.source.other.weight = 2.0
  with pytest.raises(ValueError, match=r'data\.source\.other\.weight: .* 3\.0'):
    loop.run(config, root / 'run')


def test_scores_of_a_finished_run_on_several_sets(run):
  root, _ = run
  trained = restore.read_config(root / 'run')
  assert trained.data.evaluation.dusk.weight == 1.0
  rows = evaluate.run(root / 'run', root / 'scores')
  results = json.loads((root / 'run/results.json').read_text())
  assert list(rows) == [name for name in results if name.startswith('teacher')]
  for name, report in rows.items():
    assert report['confusion'] == results[name]['confusion']


def test_one_command_scores_a_source_only_run_on_published_sets(
  tmp_path, capsys
):
  config = tiny_config.get_config()
  config.devices = 1
  config.steps = 1
  config.log.panels_every = 0
  config.data = benchmarks.gta5_to_cityscapes(
    root=str(raw_layouts.write(tmp_path / 'data')),
    cache_dir=str(tmp_path / 'cache'),
  )
  config.method = common.source_only()
  config.teacher = common.no_teacher()
  config.eval.network = 'student'
  loop.run(config, tmp_path / 'run')
  command_line.main(
    [
      f'--workdir={tmp_path / "run"}',
      f'--out={tmp_path / "scores"}',
      '--config.data.evaluation=cityscapes,bdd100k,mapillary,wilddash,acdc',
    ]
  )
  printed = capsys.readouterr().out
  results = json.loads((tmp_path / 'scores/results.json').read_text())
  assert list(results)[1:] == [
    f'student on {name}'
    for name in (
      'ACDC val',
      'BDD100K val',
      'Cityscapes val',
      'Mapillary Vistas val',
      'WildDash 2',
    )
  ]
  assert 'student, mean of 5 sets' in printed
  assert all(name in printed for name in list(results)[1:])
  # Half of each image of 8 x 12 is labeled, and all of one in WildDash.
  pixels = {name: report['pixels'] for name, report in results.items()}
  assert pixels['student on ACDC val'] == 96
  assert pixels['student on WildDash 2'] == 144
  assert pixels['student'] == sum(pixels.values()) - pixels['student']
