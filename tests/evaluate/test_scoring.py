"""Scores of a network on data sets, over two devices, and as a command."""

import json

import jax
import numpy as np
import pytest

from tests import small_config
from tests import tiny
from uda_jax import models
from uda_jax import parallel
from uda_jax.data import datasets
from uda_jax.data import splits
from uda_jax.evaluate import __main__ as evaluate
from uda_jax.evaluate import inference
from uda_jax.evaluate import metrics
from uda_jax.evaluate import scoring
from uda_jax.evaluate import selection
from uda_jax.runs import checkpoint
from uda_jax.runs import provenance


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  """The config and its evaluation split, rendered once."""
  config = small_config.get_config()
  config.data.cache_dir = str(tmp_path_factory.mktemp('data'))
  config.data.evaluation.num_images = 3
  split = datasets.load(
    config.data.evaluation,
    root='',
    labels=True,
    cache_dir=config.data.cache_dir,
    field='evaluation',
  )
  return config, split


def test_two_devices_and_a_last_batch_of_one_image(data):
  config, split = data
  config = config.copy_and_resolve_references()
  config.eval.update(batch_size=2, flip=True, subsets={'road': (0,)})
  config.eval.label_free.update(num_images=2, threshold=0.15)
  network = tiny.network(len(split.class_names))
  mesh = parallel.make_mesh(2)
  variables, other = (network.init(jax.random.key(i), (8, 8)) for i in range(2))
  other = jax.tree.map(lambda x, y: (x + y) / 2, variables, other)
  variables, other = jax.device_put(
    (variables, other), parallel.replicated(mesh)
  )
  labeled = scoring.make_labeled(
    config, scoring.make_predict(config, network, mesh), split
  )
  report = labeled.score(variables)
  pixels = split.class_pixels.sum(0)
  free = scoring.make_label_free(
    config, network, split, mesh, class_pixels=pixels
  )(variables, other)
  batch = next(splits.eval_batches(split, batch_size=3))
  logits = inference.make_logits(network)
  predict = lambda variables: logits(
    variables, batch.image, batch.label.shape[1:]
  )
  # Mirror images change nothing for a network of single pixels.
  matrix = metrics.confusion_matrix(
    batch.label,
    predict(variables).argmax(-1),
    num_classes=len(split.class_names),
  )
  assert report['pixels'] == matrix.sum() == (batch.label != 255).sum()
  assert report['miou']['all classes'] == metrics.mean_iou(matrix)
  assert report['miou']['road'] == metrics.iou(matrix)[0]
  # The first and the last of the three images.
  expected = selection.statistics(
    predict(variables)[::2], predict(other)[::2], threshold=0.15
  )
  expected = selection.summarize(
    {k: x.mean(0) for k, x in expected.items()}, pixels
  )
  assert free.keys() == expected.keys() > {'agreement', 'prior'}
  for name, value in expected.items():
    np.testing.assert_allclose(free[name], value, rtol=1e-4)
    assert 0 < free[name] < 2 * np.log(11), name


@pytest.mark.parametrize('labels', [True, False])
def test_a_network_that_gives_nan_is_not_scored(data, labels):
  """Every pixel would be of class 0, which is right on many roads."""
  config, split = data
  network = tiny.network(len(split.class_names))
  mesh = parallel.make_mesh(1)
  variables = network.init(jax.random.key(0), (8, 8))
  variables.params['kernel'] = variables.params['kernel'].at[0, 3].set(np.nan)
  variables = jax.device_put(variables, parallel.replicated(mesh))
  with pytest.raises(ValueError, match='expected finite logits.*of [123] imag'):
    if labels:
      predict = scoring.make_predict(config, network, mesh)
      scoring.make_labeled(config, predict, split).score(variables)
    else:
      scoring.make_label_free(
        config, network, split, mesh, class_pixels=split.class_pixels.sum(0)
      )(variables, variables)


@pytest.fixture(scope='module')
def run(data, tmp_path_factory):
  """The directory of a run that has kept its best network."""
  config, split = data
  workdir = tmp_path_factory.mktemp('run')
  variables = models.build(config, len(split.class_names)).init(
    jax.random.key(1), (32, 64)
  )
  config = config.copy_and_resolve_references()
  config.eval.every = 5
  # As a run of an earlier version.
  del config.eval.scales, config.eval.flip, config.checkpoint.best
  for name in ('checkpoint', 'label_size', 'enlarge', 'one_step'):
    del config.eval[name]
  provenance.run_manifest(
    workdir,
    config,
    {'classes': {'names': split.class_names, 'palette': split.palette}},
  )
  with checkpoint.Checkpoints(workdir, every_steps=1) as saved:
    saved.save_best(1, variables, {'value': 0.5})
  return workdir


def _main(*args):
  evaluate.main(list(map(str, args)))


def test_a_run_is_scored(run, tmp_path, capsys):
  _main(
    f'--workdir={run}',
    f'--out={tmp_path / "out"}',
    '--network=best',
    '--scales=0.5',
    '--config.eval.batch_size=2',
    '--config.eval.label_size=(10,20)',
    '--config.eval.enlarge=probabilities',
  )
  results = json.loads((tmp_path / 'out/results.json').read_text())
  assert list(results) == ['best', 'best, labels at full size']
  for report in results.values():
    assert report['selected'] == 'selected on target labels'
    assert report['step'] == 1
    assert 0 <= report['miou']['all classes'] < 0.2
  assert results['best']['label_size'] == [10, 20]
  assert 300 < results['best']['pixels'] <= 600 < 5000 < report['pixels']
  rows = (tmp_path / 'out/results.csv').read_text().splitlines()
  assert rows[0] == (
    'IoU,"best, labels at 10 x 20, selected on target labels",'
    '"best, labels at full size, selected on target labels"'
  )
  assert rows[1].startswith('road,') and len(rows) == 1 + 11 + 2
  text = (tmp_path / 'out/results.txt').read_text()
  assert '3 images, scales 0.5.' in text and '11' in text
  assert f'{run}: the best at step 1 of 24 on ' in text
  assert 'probabilities enlarged bilinearly; labels at 10 x 20.' in text
  assert 'best, labels at 10 x 20, selected' in text
  assert capsys.readouterr().out == text


def test_the_reported_network_is_the_default(run, tmp_path):
  """A run of an earlier version reports its last step, which it lacks here."""
  with pytest.raises(SystemExit, match='checkpoint in .*/checkpoints'):
    _main(f'--workdir={run}', f'--out={tmp_path}')
  manifest = json.loads((run / 'manifest.json').read_text())
  manifest['config']['eval']['checkpoint'] = 'best'
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run/best').symlink_to(run / 'best')
  (tmp_path / 'run/manifest.json').write_text(json.dumps(manifest))
  _main(f'--workdir={tmp_path / "run"}', f'--out={tmp_path}')
  assert list(json.loads((tmp_path / 'results.json').read_text())) == ['best']


def test_a_run_or_files_but_not_both(run, tmp_path):
  for args in ((), (f'--workdir={run}', f'--predictions={tmp_path}')):
    with pytest.raises(SystemExit, match='--workdir to .* or --predictions'):
      _main(*args)
  with pytest.raises(SystemExit, match='--out: expected another folder'):
    _main(f'--workdir={run}', f'--out={run}')
  other = tmp_path / 'other'
  other.mkdir()
  (other / 'manifest.json').touch()
  with pytest.raises(SystemExit, match='--out: .*that of a run, .*other'):
    _main(f'--workdir={run}', f'--out={other}')
  with pytest.raises(SystemExit, match='--out: .*got the file'):
    _main(f'--workdir={run}', f'--out={other / "manifest.json"}')
  with pytest.raises(SystemExit, match='--out: .*a file to write, got the fol'):
    _main(f'--predictions={run}', f'--labels={run}', f'--out={other}')
  with pytest.raises(SystemExit, match='--out: expected a folder'):
    _main(f'--workdir={run}')
  with pytest.raises(SystemExit, match='--labels: expected the folder'):
    _main(f'--predictions={tmp_path}')


@pytest.mark.parametrize(
  'args, message',
  [
    (('--config.eval.nope=1',), 'nope'),
    (('--config=/nowhere.py',), '/nowhere.py'),
    (('--scales=0',), r'--scales'),
    (
      ('--config.eval.window=(40,40)', '--config.eval.stride=(8,8)'),
      r'eval\.window',
    ),
    (('--config.data.evaluation.kind=nope',), r'data\.evaluation\.kind'),
    # These say how a run trains, and would change nothing.
    (('--config.eval.network=student',), r'eval\.network: .* --network says'),
    (('--config.eval.target_statistics=9',), r'target_statistics: expected a'),
    (('--config.model.weights=a.pth',), r'model\.weights: expected a field'),
  ],
)
def test_errors_are_one_line(run, tmp_path, args, message):
  with pytest.raises(SystemExit, match=message):
    _main(
      f'--workdir={run}',
      f'--out={tmp_path / "out"}',
      '--network=best',
      *args,
    )
  assert not (tmp_path / 'out').exists()


def test_another_config_gives_the_data_but_not_the_classes(run, data, tmp_path):
  config_file = tmp_path / 'other.py'
  config_file.write_text(f"""
from tests import small_config
def get_config():
  config = small_config.get_config()
  config.data.cache_dir = {data[0].data.cache_dir!r}
  config.data.evaluation.num_images = 2
  return config
""")
  args = ('--network=best', f'--config={config_file}', '--config.eval.flip')
  _main(f'--workdir={run}', f'--out={tmp_path}', *args)
  text = (tmp_path / 'results.txt').read_text()
  assert '2 images, scales 1, each also mirrored.' in text
  manifest = json.loads((run / 'manifest.json').read_text())
  manifest['starts'][-1]['classes']['names'][0] = 'moon'
  other = tmp_path / 'run'
  other.mkdir()
  (other / 'best').symlink_to(run / 'best')
  (other / 'manifest.json').write_text(json.dumps(manifest))
  with pytest.raises(SystemExit, match='expected the classes of.*moon'):
    _main(f'--workdir={other}', f'--out={tmp_path}', *args)
