"""Permitted values of the numbers and names of a config, by field."""

from __future__ import annotations

import difflib
import math
from typing import Any

import ml_collections

from uda_jax import parallel
from uda_jax.data import image_size
from uda_jax.train import method_ranges

# Whole numbers, and the least that each may be.
_WHOLE = {
  'seed': 0,
  'steps': 0,
  'devices': 0,
  'batch.groups': 1,
  'batch.group_size': 1,
  'batch.accumulate': 1,
  'log.every': 1,
  'log.panels_every': 0,
  'log.max_nonfinite': 1,
  'checkpoint.every': 1,
  'checkpoint.keep': 1,
  'checkpoint.keep_every': 0,
  'eval.every': 0,
  'eval.patience': 0,
  'eval.batch_size': 1,
  'eval.target_statistics': 0,
  'eval.label_free.num_images': 0,
  'schedule.warmup_steps': 0,
  'schedule.length': 0,
  'teacher.copy_stats_every': 0,
  'schedule.every': 0,
  'data.pair.first_step': 0,
  'data.pair.group_size': 1,
  'data.pair.stride': 1,
}
# The same of fields that runs in rounds alone have.
_ROUNDS = {
  'divisor': 1,
  'patches_per_image': 1,
  'epochs': 1,
  'target_statistics': 0,
}
# Steps and seeds are counted in 32 bits.
_MOST = 2**31 - 1
# Numbers, and (least, most).
_NUMBERS: dict[str, tuple[float, float]] = {
  'log.seconds': (0, math.inf),
  'parallel.heartbeat_seconds': (1, math.inf),
  'parallel.slow_step': (0, math.inf),
  'eval.label_free.threshold': (0, 1),
  'schedule.learning_rate': (0, math.inf),
  'schedule.warmup_ratio': (0, 1),
  'optim.weight_decay': (0, math.inf),
  'optim.clip_norm': (0, math.inf),
  'teacher.decay': (0, 1),
  'schedule.factor': (0, math.inf),
  'schedule.power': (0, math.inf),
  'schedule.round_factor': (0, math.inf),
  'data.target_labels_weight': (0, math.inf),
  'data.rare_class.temperature': (0, math.inf),
  'data.rare_class.min_pixels': (0, math.inf),
  'data.rare_class.min_crop_ratio': (0, math.inf),
}
# The same of fields that some optimizers and networks do not have.
_OPTIONAL: dict[str, tuple[float, float]] = {
  'model.dropout': (0, 0.99),
  'model.head_dropout': (0, 0.99),
  'model.drop_path': (0, 0.99),
  'model.enlarge': (0, math.inf),
  'model.context_scale': (math.ulp(0.0), 1),
  'model.fixed_attention': (0, 1),
  'optim.b1': (0, 1),
  'optim.b2': (0, 1),
  'optim.eps': (0, math.inf),
  'optim.momentum': (0, 1),
  'optim.layer_decay': (0, 1),
  'optim.weight_decay_end': (-1, math.inf),
}
_OPTIONAL_WHOLE = {
  'model.width': 1,
  'model.fc_width': 1,
  'model.head_width': 1,
  'model.embed_width': 0,
  'model.attention_width': 1,
}
# Texts, and what each may be.
_CHOICES = {
  'batch.scale_learning_rate': ('none', 'linear', 'sqrt'),
  'parallel.shard': parallel.SHARDS,
  'data.on_error': ('fail', 'skip'),
  'data.resize': tuple(image_size.RESIZE),
  'model.dtype': ('float32', 'bfloat16', 'float64'),
  'warm_start.network': ('student', 'teacher', 'best'),
}
# Pairs of numbers, and (least, most) of each.
_PAIRS: dict[str, tuple[float, float]] = {
  'data.pair.overlap': (0, 1),
  'data.pair.long_side': (0, math.inf),
}


def check(config: Any) -> None:
  """Raises ValueError, in one line, for a value out of its range.

  Args:
    config: the whole config of a run.
  """
  _check_finite(config, 'config')
  for field, least in _WHOLE.items():
    _check_whole(field, _get(config, field), least)
  if config.rounds is not None:
    _check_rounds(config)
  for field, bounds in _NUMBERS.items():
    _check_number(field, _get(config, field), *bounds)
  for field, bounds in _PAIRS.items():
    _check_pair(field, _get(config, field), *bounds)
  for field, choices in _CHOICES.items():
    _check_choice(field, _get(config, field), choices)
  for field, bounds in _OPTIONAL.items():
    block, _, name = field.rpartition('.')
    if name in _get(config, block):
      _check_number(field, _get(config, field), *bounds)
  for field, least in _OPTIONAL_WHOLE.items():
    block, _, name = field.rpartition('.')
    if name in _get(config, block):
      _check_whole(field, _get(config, field), least)
  _check_method(config.method)


def _check_rounds(config: Any) -> None:
  """Checks the numbers of a run in rounds."""
  for name, least in _ROUNDS.items():
    _check_whole(f'rounds.{name}', _get(config, f'rounds.{name}'), least)
  for name in ('p_start', 'p_step', 'p_max'):
    low = 0.0 if name == 'p_step' else math.ulp(0.0)
    field = f'rounds.{name}'
    _check_number(field, _get(config, field), low, 1)
  window = _get(config, 'rounds.window')
  method_ranges.check_tuple('rounds.window', window, 2, 1)


def _check_method(method: ml_collections.ConfigDict) -> None:
  """Checks the method's block and those of its additions."""
  for path, block in method_ranges.blocks(method):
    for name, value in block.items():
      field = f'{path}.{name}'
      if name in method_ranges.CHOICES:
        _check_choice(field, value, method_ranges.CHOICES[name])
      if name in method_ranges.WHOLE:
        _check_whole(field, value, method_ranges.WHOLE[name])
      if bounds := method_ranges.number_range(name):
        _check_number(field, value, *bounds)
      if name in method_ranges.PAIRS:
        _check_pair(field, value, *method_ranges.PAIRS[name])
      if name in method_ranges.TUPLES:
        method_ranges.check_tuple(field, value, *method_ranges.TUPLES[name])


def _check_whole(field: str, value: Any, least: int) -> None:
  """Raises ValueError unless a value is a whole number that is large enough."""
  if type(value) is not int or value < least:
    raise ValueError(
      f'config.{field}: expected a whole number, {least} or more'
      f'{_whole_hint(value)}, got {value!r}'
    )
  if value > _MOST:
    raise ValueError(
      f'config.{field}: expected at most {_MOST} (2^31 - 1), got {value}'
    )


def _check_number(field: str, value: Any, least: float, most: float) -> None:
  """Raises ValueError unless a value is a number in its range."""
  number = isinstance(value, int | float) and not isinstance(value, bool)
  if not number or not least <= value <= most:
    low = 'above 0' if 0 < least < 1e-300 else f'{least} or more'
    bounds = low if most == math.inf else f'{least} to {most}'
    raise ValueError(
      f'config.{field}: expected a number, {bounds}, got {value!r}'
    )


def _check_pair(field: str, value: Any, least: float, most: float) -> None:
  """Raises ValueError unless a value is (lowest, highest) in its range."""
  if not isinstance(value, tuple | list) or len(value) != 2:
    raise ValueError(f'config.{field}: expected 2 numbers, got {value!r}')
  for number in value:
    _check_number(field, number, least, most)
  if value[0] > value[1]:
    raise ValueError(
      f'config.{field}: expected (lowest, highest), got {value!r}'
    )


def _check_choice(field: str, value: Any, choices: tuple[str, ...]) -> None:
  """Raises ValueError unless a text is one of those that are known."""
  if value not in choices:
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f'; did you mean {near[0]!r}?' if near else ''
    raise ValueError(
      f'config.{field}: expected one of {", ".join(map(repr, choices))}, '
      f'got {value!r}{hint}'
    )


def _whole_hint(value: Any) -> str:
  """Returns ' (1000)' for 1000.0, which Python writes 1e3 as."""
  if isinstance(value, float) and value.is_integer():
    return f' ({int(value)})'
  return ''


def _get(config: Any, field: str) -> Any:
  """Returns the value of a dotted field; ValueError if there is none."""
  value = config
  for name in field.split('.'):
    if name not in value:
      raise ValueError(
        f'config.{field}: expected a value, got no such field; '
        'configs/blocks/common.py has blocks with all fields'
      )
    value = value[name]
  return value


def _check_finite(node: Any, field: str) -> None:
  """Raises ValueError for a nan or an infinity anywhere in a config."""
  if isinstance(node, ml_collections.ConfigDict):
    for name in node:
      _check_finite(node[name], f'{field}.{name}')
  elif isinstance(node, tuple | list):
    for value in node:
      _check_finite(value, field)
  elif isinstance(node, float) and not math.isfinite(node):
    raise ValueError(f'{field}: expected a finite number, got {node}')
