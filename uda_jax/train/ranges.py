"""Permitted values of the numbers and names of a config, by field."""

from __future__ import annotations

import difflib
import math
from typing import Any

import ml_collections

from uda_jax import parallel

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
}
# Numbers, and (least, most).
_NUMBERS = {
  'log.seconds': (0, math.inf),
  'parallel.heartbeat_seconds': (1, math.inf),
  'parallel.slow_step': (0, math.inf),
  'eval.label_free.threshold': (0, 1),
  'schedule.learning_rate': (0, math.inf),
  'schedule.warmup_ratio': (0, 1),
  'optim.weight_decay': (0, math.inf),
  'optim.clip_norm': (0, math.inf),
  'teacher.decay': (0, 1),
}
# Texts, and what each may be.
_CHOICES = {
  'batch.scale_learning_rate': ('none', 'linear', 'sqrt'),
  'parallel.shard': parallel.SHARDS,
  'data.on_error': ('fail', 'skip'),
  'model.dtype': ('float32', 'bfloat16', 'float64'),
  'warm_start.network': ('student', 'teacher', 'best'),
}
# The same of `config.method` and of the additions' blocks, where they have it.
_METHOD_CHOICES = {
  'pseudo_weight': ('batch', 'image', 'pixel'),
  'mix_classes_from': ('batch', 'image'),
  'ce_average': ('all', 'valid'),
  'average': ('all', 'valid'),
  # Compared with 'ema' alone: another value would run as 'batch'.
  'teacher_bn': ('batch', 'ema'),
  'pixel_order': ('aligned', 'released'),
}


def check(config: Any) -> None:
  """Raises ValueError, in one line, for a value out of its range.

  Args:
    config: the whole config of a run.
  """
  _check_finite(config, 'config')
  for field, least in _WHOLE.items():
    value = _get(config, field)
    if type(value) is not int or value < least:
      raise ValueError(
        f'config.{field}: expected a whole number, {least} or more'
        f'{_whole_hint(value)}, got {value!r}'
      )
  for field, (least, most) in _NUMBERS.items():
    value = _get(config, field)
    if not isinstance(value, int | float) or not least <= value <= most:
      bounds = f'{least} or more' if most == math.inf else f'{least} to {most}'
      raise ValueError(
        f'config.{field}: expected a number, {bounds}, got {value!r}'
      )
  for field, choices in _CHOICES.items():
    _check_choice(field, _get(config, field), choices)
  _check_method('method', config.method)


def _check_method(path: str, block: Any) -> None:
  """Checks the texts of the method and, below it, of its additions."""
  for name, value in block.items():
    if isinstance(value, ml_collections.ConfigDict):
      _check_method(f'{path}.{name}', value)
    elif name in _METHOD_CHOICES:
      _check_choice(f'{path}.{name}', value, _METHOD_CHOICES[name])


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
