"""Fields that a command line sets more than once."""

import pytest

from uda_jax import configs
from uda_jax.configs import overrides


@pytest.mark.parametrize(
  ('options', 'field', 'expected'),
  [
    (("add=('masking',)", 'add=()'), 'add', ()),
    (("add=('masking',)", "add=('masking',)"), 'add', ('masking',)),
    (('threshold=0.5', 'threshold=0.9'), 'threshold', 0.9),
  ],
)
def test_a_later_option_of_a_field_wins(options, field, expected):
  config = configs.load('streets/self_training')
  changed = overrides.apply(config, [f'--config.method.{o}' for o in options])
  assert changed.method[field] == expected


def test_later_sizes_and_switches_win():
  config = configs.load('streets/self_training')
  changed = overrides.apply(
    config,
    [
      '--config.data.crop_size=(64,64)',
      '--config.data.keep_ratio',
      '--config.data.crop_size=(32,48)',
      '--noconfig.data.keep_ratio',
    ],
  )
  assert changed.data.crop_size == (32, 48)
  assert changed.data.keep_ratio is False


def test_an_earlier_option_is_checked_too():
  config = configs.load('streets/self_training')
  options = ['--config.steps=many', '--config.steps=4']
  with pytest.raises(ValueError, match='config.steps: .*got many'):
    overrides.apply(config, options)
