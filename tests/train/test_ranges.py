"""Values out of their range: an error in one line that names the field."""

import copy

import ml_collections
import pytest

from uda_jax import configs
from uda_jax.train import checks

_BLOCKS = ('batch', 'log', 'checkpoint', 'schedule', 'teacher', 'method')
# Fields of these blocks in which a negative number has a meaning.
_NEGATIVE = ('method.paste_offset',)


def _numbers(block, path=''):
  for name, value in block.items():
    field = f'{path}{name}'
    if isinstance(value, ml_collections.ConfigDict):
      yield from _numbers(value, f'{field}.')
    elif isinstance(value, int | float) and not isinstance(value, bool):
      yield field


@pytest.mark.parametrize(
  'name',
  [
    'streets/self_training',
    'streets/pipa_cluda_mic',
    'gta5_to_cityscapes/lse',
    'gta5_to_cityscapes/pixmatch',
    'gta5_to_cityscapes/ehtdi',
    'gta5_to_cityscapes/hrda',
    'gta5_to_cityscapes/vfm_uda',
  ],
)
def test_negative_and_infinite_numbers_are_refused(name):
  config = configs.load(name)
  fields = [f for f in _numbers(config) if f.split('.')[0] in _BLOCKS]
  assert len(fields) > 20
  for field in set(fields) - set(_NEGATIVE):
    for value in (-3, float('nan')):
      changed = copy.deepcopy(config)
      with changed.ignore_type():
        changed.update_from_flattened_dict({field: value})
      with pytest.raises(ValueError, match=f'^config.{field}: expected') as e:
        checks.check_config(changed)
      assert '\n' not in str(e.value) and str(value) in str(e.value)


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('data.resize', 'cubic'),
    ('data.pair.overlap', (0.5,)),
    ('data.pair.overlap', (0.5, 2)),
    ('data.rare_class.temperature', -1.0),
    ('method.cluda_contrast.grid', (17,)),
    ('method.distance_classes', ('road',)),
    ('method.pixel_contrast.max_samples', 0),
    ('method.patch_contrast.temperature', 0.0),
    ('optim.b1', 2.0),
    ('optim.layer_decay', 1.5),
    ('parallel.shard', 'params'),
  ],
)
def test_values_out_of_range(field, value):
  config = configs.load('streets/pipa_cluda_mic')
  with config.ignore_type():
    config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=f'^config.{field}: expected') as error:
    checks.check_config(config)
  assert '\n' not in str(error.value)
