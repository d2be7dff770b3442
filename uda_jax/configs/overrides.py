"""Changes of a config on a command line: `--config.FIELD=VALUE`.

ml_collections parses the values; this module finds what it would refuse first,
for a message that names the field, what it takes and the nearest other fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import copy
import difflib
from typing import Any

from absl import flags
import ml_collections
from ml_collections import config_flags

from uda_jax.configs.blocks import several

# What absl takes for a bool.
_BOOLS = ('true', 't', '1', 'false', 'f', '0')
# Parts of `config.data` that may be given by names of published data sets.
_PARTS = ('source', 'target', 'evaluation')
# Fields of a text or a tuple.
_TEXT_OR_TUPLE = ('files',)
# The longest tuples of sizes: the four sides of an image.
_SIZES = 4


def apply(
  config: ml_collections.ConfigDict, options: Sequence[str]
) -> ml_collections.ConfigDict:
  """Sets fields of a config by options of a command line.

  Args:
    config: stays as it is.
    options: `--config.FIELD=VALUE`, or `--config.FIELD` and
      `--noconfig.FIELD` for a bool; a later one wins. A part of the data set by
      names, such as `--config.data.evaluation=cityscapes,acdc`, comes first.

  Returns:
    A locked copy.

  Raises:
    ValueError: there is no such field, or the value is of another type.
  """
  config = copy.deepcopy(config)
  options = _without_names(config, options)
  for option in options:
    _check(config, option)
    _choose_type(config, option)
  values, argv = flags.FlagValues(), ['config', *_last_of_each(options)]
  config_flags.DEFINE_config_dict(
    'config', config, flag_values=values, sys_argv=argv
  )
  try:
    values(argv)
  except flags.Error as error:
    raise ValueError(f'--config: {error}') from error
  return values.config


def _last_of_each(options: Sequence[str]) -> list[str]:
  """Returns the last option of each name: absl would join those of a tuple."""
  last = {o.partition('=')[0].lstrip('-'): i for i, o in enumerate(options)}
  return [options[i] for i in sorted(last.values())]


def _without_names(
  config: ml_collections.ConfigDict, options: Sequence[str]
) -> list[str]:
  """Sets parts of the data that options name; returns the other options."""
  others = []
  for option in options:
    name, mark, text = option.partition('=')
    *block, part = name.lstrip('-').split('.')
    is_part = block == ['config', 'data'] and part in _PARTS
    if not (is_part and mark and 'data' in config) or text.startswith('{'):
      others.append(option)
      continue
    with config.data.ignore_type(), config.data.unlocked():
      config.data[part] = several.named(part, text)
  return others


def _check(config: ml_collections.ConfigDict, option: str) -> None:
  """Raises ValueError for a field that is not there or a wrong value."""
  name, mark, text = option.partition('=')
  path = name.partition('.')[2].split('.')
  old = config
  for depth, part in enumerate(path):
    if not isinstance(old, ml_collections.ConfigDict) or part not in old:
      raise ValueError(_no_such_field(config, path[: depth + 1]))
    old = old[part]
  if isinstance(old, bool):
    good = not mark or (not name.startswith('--no') and text.lower() in _BOOLS)
    expected = None if good else 'true or false'
  elif not mark or name.startswith('--no'):
    expected, text = f'{_kind(old)} after "="', 'none'
  elif path[-1] in _TEXT_OR_TUPLE:
    expected = None
  elif old is None:
    expected = 'no value here: a block that only a config file can set'
  else:
    expected = _expected(old, text)
  if expected:
    field = '.'.join(('config', *path))
    raise ValueError(f'{field}: expected {expected}, got {text or repr(text)}')


def _choose_type(config: ml_collections.ConfigDict, option: str) -> None:
  """Gives a field of two types that of its new value.

  `files` of a data set is the path of a list, or a tuple of patterns, which is
  written in parentheses: ml_collections would keep the type of the default.
  """
  name, _, text = option.partition('=')
  *path, last = name.partition('.')[2].split('.')
  if last not in _TEXT_OR_TUPLE:
    return
  block: Any = config
  for part in path:
    block = block[part]
  if not isinstance(block[last], str | tuple):
    return
  with block.ignore_type():
    block[last] = () if text.startswith(('(', '[')) else ''


def _no_such_field(
  config: ml_collections.ConfigDict, path: Sequence[str]
) -> str:
  """Returns the message on a field that is not there, with the nearest."""
  *parents, name = path
  node: Any = config
  for part in parents:
    node = node[part]
  field, parent = '.'.join(('config', *path)), '.'.join(('config', *parents))
  if not isinstance(node, ml_collections.ConfigDict):
    return f'{field}: there is no such field; {parent} is {node!r}'
  near = [f'{parent}.{n}' for n in difflib.get_close_matches(name, list(node))]
  elsewhere = [
    other for other in _fields(config, 'config') if other.endswith(f'.{name}')
  ]
  found = near or elsewhere[:3]
  hint = f'did you mean {" or ".join(found)}? ' if found else ''
  return (
    f'{field}: there is no such field; {hint}{parent} has the fields '
    f'{", ".join(sorted(node)) or "(none)"}'
  )


def _fields(node: ml_collections.ConfigDict, prefix: str) -> Iterator[str]:
  """Yields the dotted names of all fields, blocks included."""
  for name in node:
    field = f'{prefix}.{name}'
    yield field
    if isinstance(node[name], ml_collections.ConfigDict):
      yield from _fields(node[name], field)


def _kind(old: Any) -> str:
  """Returns the name of the kind of values that may replace this one."""
  kinds = {int: 'a whole number', float: 'a number', tuple: 'a tuple'}
  return kinds.get(type(old), 'a value')


def _expected(old: Any, text: str) -> str | None:
  """Returns what a field takes, None if the text can be that."""
  if isinstance(old, int | float):
    return _expected_number(type(old), text)
  if isinstance(old, tuple) and len(old) > 1 and ',' not in text:
    number = text.strip('()[] ')
    if text and not number:
      return None  # no rows at all
    # Of many items, their number is not that of the default.
    short = old if len(old) <= _SIZES else old[:1]
    example = f'({number},)'
    if len(short) > 1:
      example = f'({", ".join([number] * len(old))})'
    return f'a tuple such as {example if number.isdigit() else short}'
  if isinstance(old, ml_collections.ConfigDict) and not text.startswith('{'):
    return f'a value for one of its fields ({", ".join(sorted(old))})'
  return None


def _expected_number(kind: type, text: str) -> str | None:
  """Returns what a number must be, with `1000` for `1e3`; None if it is."""
  try:
    kind(text)
    return None
  except ValueError:
    pass
  try:
    value = float(text)
  except ValueError:
    return _kind(kind())
  whole = f' such as {int(value)}' if value.is_integer() else ''
  return _kind(kind()) + whole
