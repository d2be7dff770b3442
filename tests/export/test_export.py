"""Exported files give what the network gives, or are not there."""

import hashlib
import json

import jax
from jax import export as jax_export
import numpy as np
import pytest

from tests import leaf
from tests import tiny
from uda_jax.evaluate import inference
from uda_jax.evaluate import protocol
from uda_jax.export import __main__ as export
from uda_jax.export import command
from uda_jax.export import onnx
from uda_jax.runs import provenance
from uda_jax.runs import restore

NAMES = ('road', 'sky', 'car')


@pytest.fixture
def main(tmp_path, monkeypatch):
  """Calls the command on a run of the tiny network."""
  network = tiny.network(len(NAMES))
  workdir = tmp_path / 'run'
  classes = {'names': NAMES, 'palette': ((0, 0, 0),) * 3}
  provenance.run_manifest(workdir, leaf.get_config(), {'classes': classes})
  variables = network.init(jax.random.key(3), (8, 8))
  trained = restore.Trained(
    leaf.get_config(), NAMES, classes['palette'], network, variables
  )
  monkeypatch.setattr(restore, 'load', lambda workdir, which: trained)

  def call(*args):
    export.main(
      [
        f'--workdir={workdir}',
        f'--out={tmp_path / "out"}',
        '--size=6x10',
        *args,
      ]
    )
    return trained, tmp_path / 'out'

  return call


@pytest.mark.parametrize('batch_size', [0, 1])
def test_the_file_runs_alone(main, batch_size, capsys):
  trained, out = main(f'--batch_size={batch_size}')
  path = out / 'network.stablehlo'
  assert sorted(out.iterdir()) == [out / 'network.json', path]
  images = np.random.default_rng(0).integers(
    0, 256, (3 if batch_size == 0 else 1, 6, 10, 3), np.uint8
  )
  found = jax_export.deserialize(bytearray(path.read_bytes())).call(images)
  outputs, _ = trained.network.forward(
    *trained.variables,
    trained.network.normalize(images),
    use_running_average=True,
  )
  np.testing.assert_allclose(found['logits'], outputs.logits, atol=1e-5)
  np.testing.assert_array_equal(found['ids'], found['logits'].argmax(-1))
  assert found['ids'].dtype == np.int32 and len(np.unique(found['ids'])) > 1
  about = json.loads((out / 'network.json').read_text())
  assert about['classes'] == list(NAMES) and len(about['palette']) == 3
  assert about['input']['shape'] == [batch_size or 'batch', 6, 10, 3]
  facts = about['files']['network.stablehlo']
  assert facts['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
  assert facts['label_agreement'] == 1
  assert 'network.stablehlo: logits within' in capsys.readouterr().out


def test_test_time_augmentation_is_left_out_and_reported(main, capsys):
  trained, out = main()
  assert 'averages' not in capsys.readouterr().out
  trained.config.eval.update(scales=(0.5, 1.0), flip=True)
  main()
  about = json.loads((out / 'network.json').read_text())
  assert about['test_time_augmentation'] == {
    'scales': [0.5, 1.0],
    'flip': True,
    'in_files': False,
  }
  assert 'scales 0.5, 1, each also mirrored; the files make one' in (
    capsys.readouterr().out
  )


def test_labels_of_enlarged_probabilities(main):
  trained, out = main()
  trained.config.eval.update(enlarge='probabilities', one_step=True)
  main()
  found = command.run_stablehlo(
    out / 'network.stablehlo', images := command.sample_image((1, 6, 10, 3))
  )
  how = protocol.configured(trained.config.eval)
  prob = inference.make_scores(trained.network, how)(
    trained.variables, images, (6, 10)
  )
  np.testing.assert_allclose(np.exp(found['logits']), prob, rtol=1e-4)
  np.testing.assert_array_equal(found['ids'], prob.argmax(-1))
  about = json.loads((out / 'network.json').read_text())
  assert about['scoring'].startswith('probabilities enlarged')


def test_a_file_that_differs_gets_no_name(main, tmp_path, monkeypatch):
  monkeypatch.setattr(
    command,
    'run_stablehlo',
    lambda path, images: {
      'ids': np.zeros(images.shape[:3], np.int32),
      'logits': np.zeros((*images.shape[:3], 3), np.float32),
    },
  )
  with pytest.raises(SystemExit, match='network.stablehlo: expected the logit'):
    main()
  assert not list((tmp_path / 'out').iterdir())


def test_limits():
  logits = np.linspace(-50, 50, 30000, dtype=np.float32).reshape(1, 100, 100, 3)
  expected = {'ids': logits.argmax(-1), 'logits': logits}
  near = command.compare(
    'f', expected | {'logits': logits + 4e-3}, expected, 1e-4
  )
  assert near['logit_difference'] == pytest.approx(8e-5, rel=0.01)
  with pytest.raises(ValueError, match='got a difference of 0.00012'):
    command.compare('f', expected | {'logits': logits + 6e-3}, expected, 1e-4)
  with pytest.raises(ValueError, match='nan'):
    command.compare('f', expected | {'logits': logits * np.nan}, expected, 1)
  ids = expected['ids'].copy()
  ids[0, 0, :11] = 0
  with pytest.raises(ValueError, match='99.89%'):
    command.compare('f', expected | {'ids': ids}, expected, 1e-4)


def test_missing_packages_are_told_with_their_install_line(
  main, tmp_path, monkeypatch
):
  monkeypatch.setattr(onnx.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(SystemExit, match='jax2onnx is not.*pip install .uda_jax'):
    main('--onnx')
  assert not (tmp_path / 'out').exists()
