"""Configs of earlier runs, which lack fields that are declared by now."""

import json

import pytest

from uda_jax import configs
from uda_jax.runs import upgrade

NAMES = ('streets/pipa', 'camvid_to_idd/lse', 'gta5_to_cityscapes/ehtdi')


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
