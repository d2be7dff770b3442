"""Runs of earlier versions are read, and resumed, in today's fields.

`earlier/manifest.json` and `earlier/methods.json` (`config.method` by config)
are from the version before methods were a list of additions.
"""

import json
import pathlib
import shutil

import ml_collections
import pytest

from uda_jax import configs
from uda_jax import methods
from uda_jax.runs import provenance
from uda_jax.runs import restore
from uda_jax.runs import upgrade

EARLIER = pathlib.Path(__file__).parent / 'earlier'
METHODS = json.loads((EARLIER / 'methods.json').read_text())
NAMES = ('streets/pipa', 'camvid_to_idd/lse', 'gta5_to_cityscapes/ehtdi')


@pytest.fixture
def workdir(tmp_path):
  shutil.copy(EARLIER / 'manifest.json', tmp_path)
  return tmp_path


def test_a_manifest_is_read_in_todays_fields(workdir):
  method = restore.read_manifest(workdir)['config']['method']
  assert method['name'] == 'self_training'
  assert method['add'] == [
    'pixel_contrast',
    'patch_contrast',
    'cluda_contrast',
    'masking',
  ]
  assert method['patch_contrast']['samples'] == 128
  assert method['cluda_contrast']['grid'] == [17, 33]
  assert method['masking'] == {
    'weight': 1.0,
    'ratio': 0.7,
    'block_size': 16,
    'images': 'target',
    'bn': 'batch',
  }
  assert 'weight_contrast' not in method and 'mask_ratio' not in method


def test_an_earlier_run_is_resumed_by_the_same_config(workdir):
  config = configs.load('streets/pipa_cluda_mic')
  # Rare-class sampling came to this config later.
  config.data.rare_class.update(
    temperature=0.0, min_pixels=0.0, min_crop_ratio=0.0
  )
  provenance.check_resumable(workdir, config)
  with config.unlocked():
    config.method.masking.ratio = 0.5
  with pytest.raises(ValueError, match='method.masking.ratio: expected 0.7'):
    provenance.check_resumable(workdir, config)


def test_a_block_that_is_not_added_is_no_difference(workdir):
  config = configs.load('streets/pipa')
  with pytest.raises(ValueError, match='method.add'):
    provenance.check_resumable(workdir, config)
  text = config.to_json_best_effort()
  (workdir / 'manifest.json').write_text(
    json.dumps({'config': json.loads(text), 'starts': []})
  )
  with config.unlocked():
    config.method.masking.ratio = 0.5
  provenance.check_resumable(workdir, config)
  with config.unlocked():
    config.method.add = (*config.method.add, 'masking')
  with pytest.raises(ValueError, match='method.add'):
    provenance.check_resumable(workdir, config)


@pytest.mark.parametrize('name', METHODS)
def test_every_method_of_earlier_runs(name):
  new = json.loads(configs.load(name).to_json_best_effort())
  earlier = new | {'method': METHODS[name]}
  assert upgrade.comparable(earlier) == upgrade.comparable(new)
  once = upgrade.upgrade(earlier)
  assert upgrade.upgrade(once) == once
  assert earlier['method'] == METHODS[name]


def test_the_name_of_an_earlier_network(workdir):
  # As exports write it.
  config = restore.read_manifest(workdir)['config']
  assert methods.full_name(ml_collections.ConfigDict(config).method) == (
    'self_training + pixel_contrast + patch_contrast + cluda_contrast + masking'
  )


def _earlier(config):
  """Leaves out the later fields that have their defaults."""
  old = json.loads(config.to_json())
  if old['rounds'] is None:
    del old['rounds']
  for field, value in upgrade.LATER.items():
    block, name = field.split('.')
    if name in old[block] and old[block][name] == value:
      del old[block][name]
  for record in (old['data'][part] for part in ('source', 'target')):
    for name in ('files', 'label_channel', 'label_colors', 'resize_labels'):
      if record.get(name) in ([], -1, False):
        del record[name]
  return old


@pytest.mark.parametrize('name', NAMES)
def test_an_earlier_config_gets_the_later_fields(name):
  config = configs.load(name)
  old = _earlier(config)
  assert 'round_factor' not in old['schedule'] or name.endswith('lse')
  assert old != json.loads(config.to_json())
  assert upgrade.comparable(old) == upgrade.comparable(
    json.loads(config.to_json())
  )
