"""Validates the data block of a config before any file is read.

Needs no TensorFlow: a mistake is reported in a second.
"""

from __future__ import annotations

from collections.abc import Iterator
import math
import numbers
from typing import Any

from uda_jax.data import label_fraction
from uda_jax.data import records

_SIZES = (
  'source_image_size',
  'target_image_size',
  'eval_image_size',
  'crop_size',
  'pair.crop_size',
)


def check(config: Any) -> None:
  """Raises ValueError, in one line, for a data block that cannot be used.

  Args:
    config: `config.data`; a part that is None is skipped.
  """
  for name in records.PARTS:
    _check_part(config, name)
  need_cache_dir(config.cache_dir)
  source, evaluation = (
    records.class_names(config, name) for name in ('source', 'evaluation')
  )
  records.class_names(config, 'target')
  need_equal_classes(source, evaluation)
  _check_target_labels(config, source)
  for name in _SIZES:
    check_size(
      _get(config, name),
      f'config.data.{name}',
      shorter_side=name.endswith('image_size'),
    )
  low, high = numbers_of(config.scale_range, 2, 'config.data.scale_range')
  if not 0 < low <= high:
    raise ValueError(
      'config.data.scale_range: expected (low, high) with 0 < low <= high, got '
      f'{config.scale_range}'
    )
  _check_margins(config)
  if not 0 < config.max_class_share <= 1:
    raise ValueError(
      'config.data.max_class_share: expected a fraction above 0, 1 = off, '
      f'got {config.max_class_share}'
    )


def _check_margins(config: Any) -> None:
  """Raises ValueError unless margins are all pixels, or fractions below 1."""
  margins = numbers_of(config.margins, 4, 'config.data.margins')
  pixels = all(isinstance(n, int) and n >= 0 for n in margins)
  if not pixels and not all(0 <= n < 1 for n in margins):
    raise ValueError(
      'config.data.margins: expected rows and columns (top, bottom, left, '
      'right), each a whole number, or all fractions of the sides below 1, got '
      f'{config.margins}'
    )
  sums = margins[0] + margins[1], margins[2] + margins[3]
  if not pixels and max(sums) >= 1:
    raise ValueError(
      'config.data.margins: expected fractions that leave a part of the image '
      f'between top and bottom, and left and right, got {config.margins}'
    )


def _records(config: Any, part: str) -> Iterator[tuple[str, Any]]:
  """Yields the field and the record of each set of a part."""
  for entry in records.entries(config, part):
    yield entry.field, records.make(entry.record, entry.field)


def _check_part(config: Any, name: str) -> None:
  for field, record in _records(config, name):
    if hasattr(record, 'image_size'):
      check_size(record.image_size, f'{field}.image_size', least=32)
    if name != 'target':
      need_labels(record, field)
  for entry in records.entries(config, name):
    check_size(entry.resize_to, f'{entry.field}.resize_to', shorter_side=True)


def _check_target_labels(config: Any, source: tuple[str, ...]) -> None:
  """Checks what is learned from labels of the target, if anything is."""
  if label_fraction.part(config, 0) is None:
    return
  for field, record in _records(config, 'target'):
    if getattr(record, 'labels', None) == '':
      raise ValueError(
        f'{field}.labels: expected the pattern of the label files, as '
        "config.data.target_labels takes a part of them, got ''; '' there "
        'learns from none'
      )
  classes = records.class_names(config, 'target')
  if classes != source:
    raise ValueError(
      'config.data.target.class_names: expected the classes of '
      f'config.data.source {source}, as config.data.target_labels learns from '
      f'its labels, got {classes}'
    )


def _get(config: Any, path: str) -> Any:
  for name in path.split('.'):
    config = config[name]
  return config


def need_cache_dir(path: str) -> None:
  """Raises ValueError unless `config.data.cache_dir` is set."""
  if not path:
    raise ValueError(
      "config.data.cache_dir: expected a folder for prepared data, got ''"
    )


def need_labels(record: Any, field: str) -> None:
  """Raises ValueError for a record of a folder without label files."""
  if getattr(record, 'labels', None) == '':
    raise ValueError(
      f'{field}.labels: expected the pattern of the label files '
      "(labels are needed here), got ''"
    )


def need_equal_classes(
  source: tuple[str, ...], evaluation: tuple[str, ...]
) -> None:
  """Raises ValueError unless source and evaluation have the same classes."""
  if source != evaluation:
    raise ValueError(
      'config.data.evaluation.class_names: expected the classes of '
      f'config.data.source {source}, got {evaluation}'
    )


def check_size(
  value: Any, field: str, *, least: int = 0, shorter_side: bool = False
) -> None:
  """Raises ValueError unless a value is (height, width) in pixels.

  Args:
    value: any; (0, 0) stands for "no size" and is good if `least` is 0.
    field: the config field, for messages.
    least: the smallest height and width.
    shorter_side: whether (S, 0) is good, too.
  """
  good = isinstance(value, tuple | list) and len(value) == 2
  good = good and all(type(n) is int and n >= least for n in value)
  if good and shorter_side and value[0]:
    return
  if not good or (any(value) and not all(value)):
    side = value if isinstance(value, int) else 64
    if isinstance(value, tuple | list) and len(value) == 1:
      side = value[0]
    example = (max(side, least),) * 2 if isinstance(side, int) else (64, 64)
    bound = f' of at least {least}' if least else ''
    raise ValueError(
      f'{field}: expected whole numbers (height, width){bound} such as '
      f'{example}, got {value!r}'
    )


def numbers_of(value: Any, count: int, field: str) -> tuple[float, ...]:
  """Returns a tuple of finite numbers; ValueError if it is none.

  Args:
    value: any.
    count: how many numbers.
    field: the config field, for messages.
  """
  if (
    not isinstance(value, tuple | list)
    or len(value) != count
    or not all(isinstance(n, numbers.Real) and math.isfinite(n) for n in value)
  ):
    raise ValueError(f'{field}: expected {count} numbers, got {value!r}')
  return tuple(value)
