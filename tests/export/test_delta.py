"""What a run with adapters trained, beside its base, is the run's network."""

import json
import shutil

import jax
import numpy as np
import pytest

from tests import small_config
from uda_jax import models
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import networks
from uda_jax.export import weights
from uda_jax.models import dinov2
from uda_jax.models import weights as model_weights
from uda_jax.runs import adapted
from uda_jax.runs import checkpoint
from uda_jax.runs import delta
from uda_jax.runs import packed
from uda_jax.runs import provenance
from uda_jax.runs import restore
from uda_jax.train import adaptation
from uda_jax.train import warm_start

NAMES = ('road', 'sky', 'car')


def _noise(shapes, seed):
  random = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: random.normal(0, 0.1, x.shape).astype(x.dtype), shapes
  )


def _run(workdir, seed, kind='soma'):
  """Writes a run whose best network has moved from its start."""
  config = small_config.get_config()
  config.model = networks.dinov2(size='s', weights='')
  config.model.update(head_width=8, fusion='conv1')
  config.optim = common.adamw(weight_decay=0.1)
  config.optim.adapters = kind
  config.optim.low_rank.update(rank=2, alpha=3.0)
  network = models.build(config, len(NAMES))
  shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), (28, 28)))
  student, base = adaptation.start(config, workdir, _noise(shapes, seed))
  moved = adapted.without(base, student)
  moved = jax.tree.map(lambda x, y: x + y, moved, _noise(moved, seed + 1))
  provenance.run_manifest(
    workdir, config, {'classes': {'names': NAMES, 'palette': ((0, 1, 2),) * 3}}
  )
  with checkpoint.Checkpoints(workdir, every_steps=1, base=base) as saved:
    saved.save_best(1, adapted.filled(base, moved), {'value': 0.5})
  return config


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """The directories of two runs from different starts, and of their deltas."""
  folder = tmp_path_factory.mktemp('runs')
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(dinov2.VARIANTS, 'dinov2_s', dinov2.Variant(64, 4))
    for name, seed in (('one', 0), ('other', 5)):
      _run(folder / name, seed)
      weights.main(
        [
          f'--workdir={folder / name}',
          f'--out={folder / name / "delta"}',
          '--delta',
          '--network=best',
        ]
      )
    yield folder


@pytest.fixture
def copy(runs, tmp_path):
  """The delta of the first run in a folder of its own, without a base."""
  shutil.copytree(runs / 'one' / 'delta', tmp_path / 'nets' / 'delta')
  return tmp_path / 'nets' / 'delta'


def test_delta_and_base_are_the_network_to_the_bit(runs, copy):
  shutil.copy(runs / 'one' / adapted.FILE, copy / adapted.FILE)
  whole, found = restore.load(runs / 'one', 'best'), restore.load(copy)
  jax.tree.map(np.testing.assert_array_equal, found.variables, whole.variables)
  assert jax.tree.structure(found.variables) == jax.tree.structure(
    whole.variables
  )
  assert found.class_names == NAMES and found.step == whole.step == 1
  assert json.loads((copy / 'manifest.json').read_text())['config']
  # The adapters are part of the network: the ordinary export has no others.
  plain = model_weights.read(_exported(copy))
  expected = models.export(whole.config, whole.variables)
  assert plain.keys() == expected.keys()
  assert not any('lora' in name for name in plain)
  for name, x in expected.items():
    np.testing.assert_array_equal(plain[name], x)


def _exported(folder):
  out = folder / 'plain.safetensors'
  weights.main([f'--workdir={folder}', f'--out={out}'])
  return out


def test_the_delta_is_small_and_names_its_base(runs):
  folder = runs / 'one' / 'delta'
  assert sorted(path.name for path in folder.iterdir()) == [
    'delta.safetensors',
    'delta.safetensors.json',
    'manifest.json',
  ]
  arrays = model_weights.read(folder / delta.FILE)
  frozen = model_weights.read(runs / 'one' / adapted.FILE)
  assert not {name.removeprefix('params/') for name in arrays} & frozen.keys()
  layer = 'params/backbone/blocks/3/mlp/fc1/'
  assert {n for n in arrays if n.startswith(layer)} == {
    layer + leaf for leaf in ('lora_a', 'lora_b', 'bias')
  }
  declared = json.loads((folder / (delta.FILE + '.json')).read_text())
  digest = model_weights.metadata.sha256(runs / 'one' / adapted.FILE)
  assert declared['base_sha256'] == digest and declared['network'] == 'best'


def test_the_base_may_be_in_the_folder_above_and_others_start_from_it(
  runs, copy
):
  shutil.copy(runs / 'other' / adapted.FILE, copy / adapted.FILE)
  shutil.copy(runs / 'one' / adapted.FILE, copy.parent / adapted.FILE)
  config = restore.read_config(runs / 'one')
  config.optim.adapters = ''
  config.warm_start.update(workdir=str(copy), network='best')
  expected = restore.load(runs / 'one', 'best').variables
  fresh = jax.tree.map(jax.numpy.zeros_like, expected)
  found = warm_start.load(config, len(NAMES), fresh, (28, 28))
  jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_wrong_base_and_none_are_one_line(runs, copy):
  with pytest.raises(
    ValueError, match='expected its base.*found none'
  ) as error:
    restore.load(copy)
  assert '\n' not in str(error.value) and 'copy or link' in str(error.value)
  shutil.copy(runs / 'other' / adapted.FILE, copy / adapted.FILE)
  with pytest.raises(ValueError, match='expected the base of .*delta') as error:
    restore.load(copy)
  assert '\n' not in str(error.value)
  for run in ('one', 'other'):
    assert model_weights.metadata.sha256(runs / run / adapted.FILE) in str(
      error.value
    )


def test_a_run_that_was_copied_without_its_base(runs, tmp_path):
  shutil.copytree(runs / 'one', tmp_path / 'run')
  (tmp_path / 'run' / adapted.FILE).unlink()
  with pytest.raises(ValueError, match='expected .*base.safetensors, the fro'):
    restore.load(tmp_path / 'run', 'best')


def test_a_delta_without_its_declaration_and_another_network(copy):
  with pytest.raises(ValueError, match='got a folder with its best alone'):
    restore.load(copy, 'teacher')
  (copy / (delta.FILE + '.json')).unlink()
  with pytest.raises(ValueError, match='expected the declaration of a delta'):
    restore.load(copy)


def test_what_has_no_delta(runs, tmp_path):
  workdir = tmp_path / 'plain'
  shutil.copytree(runs / 'one', workdir)
  (workdir / adapted.FILE).unlink()
  for arguments, message in (
    (
      [f'--workdir={workdir}', f'--out={tmp_path / "d"}'],
      'a run with adapters',
    ),
    ([f'--workdir={runs / "one"}', '--push=a/b'], '--push, which publishes'),
    ([f'--workdir={runs / "one"}', f'--out={runs / "other"}'], 'that of a run'),
    (
      [f'--workdir={runs / "one"}', f'--out={tmp_path}', '--spelling=mit'],
      '--spelling: expected none',
    ),
  ):
    with pytest.raises(SystemExit, match=message):
      weights.main([*arguments, '--delta'])
  assert not packed.is_packed(workdir)
