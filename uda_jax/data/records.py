"""The kinds of data sets that a config can describe; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import difflib
import fractions
import math
from typing import Any, NamedTuple

from uda_jax.data import folder_record
from uda_jax.data import renderers

# The data sets of a run; the target's labels are never wanted.
PARTS = ('source', 'target', 'evaluation')


class Entry(NamedTuple):
  """A data set of a part of a run.

  Attributes:
    field: the config field of its record.
    record: `kind` and the fields of that kind's record type.
    name: of the set in a block of several, '' for the only one.
    weight: its share of the batches, relative to the other sets.
    resize_to: (height, width) that replaces the part's image size, (0, 0):
      none.
  """

  field: str
  record: Mapping[str, Any]
  name: str = ''
  weight: float = 1.0
  resize_to: tuple[int, int] = (0, 0)


# Of all sets in a period of their turns, which is a table in memory.
_MOST_PLACES = 1_000_000
# What a set of several has beside the fields of its record.
_OF_SEVERAL = ('weight', 'resize_to')


class Kind(NamedTuple):
  """A kind of data set.

  Attributes:
    record: the type of its records, a NamedTuple.
    check: `check(record, field)` raises ValueError for a bad record.
    class_names: of a record.
  """

  record: type[Any]
  check: Callable[[Any, str], None]
  class_names: Callable[[Any], tuple[str, ...]]


def _of_rendered(renderer: renderers.Renderer) -> Kind:
  return Kind(
    renderer.record, renderer.check, lambda record: renderer.class_names
  )


KINDS = {
  'folder': Kind(
    folder_record.FolderRecord,
    folder_record.check,
    lambda record: tuple(record.class_names),
  ),
  **{
    kind: _of_rendered(renderer)
    for kind, renderer in renderers.RENDERERS.items()
  },
}


def are_several(part: Any) -> bool:
  """Returns whether a part of a run is a block of several data sets."""
  return 'kind' not in part and all(
    isinstance(value, Mapping) or hasattr(value, 'items')
    for value in dict(part.items()).values()
  )


def entries(data: Any, part: str) -> tuple[Entry, ...]:
  """Returns the data sets of a part, in the order of their names.

  Args:
    data: the `data` block of a config.
    part: one of `PARTS`.

  Raises:
    ValueError: there is none, or weights are no numbers above 0, or not in the
      ratio of small whole numbers.
  """
  field, block = f'config.data.{part}', data[part]
  if not are_several(block):
    return (Entry(field, block),)
  if not block:
    raise ValueError(f'{field}: expected one data set or more, got none')
  found = tuple(
    _entry(f'{field}.{name}', block[name], name, part) for name in sorted(block)
  )
  weights = [entry.weight for entry in found]
  if sum(counts := places(weights)) > _MOST_PLACES:
    raise ValueError(
      f'{field}: expected weights in the ratio of whole numbers of at most '
      f'{_MOST_PLACES:,} together, got {tuple(weights)}, which is '
      f'{" : ".join(f"{n:,}" for n in counts)}'
    )
  return found


def places(weights: Sequence[float]) -> list[int]:
  """Returns the smallest whole numbers that have the ratio of weights."""
  exact = [fractions.Fraction(str(weight)) for weight in weights]
  unit = math.lcm(*(weight.denominator for weight in exact))
  whole = [int(weight * unit) for weight in exact]
  return [number // math.gcd(*whole) for number in whole]


def _entry(field: str, values: Any, name: str, part: str) -> Entry:
  """Returns a set of several, without what is not of its record."""
  record = dict(values.items())
  own = {key: record.pop(key) for key in _OF_SEVERAL if key in record}
  entry = Entry(field, record, name, **own)
  weight = entry.weight
  number = isinstance(weight, int | float) and not isinstance(weight, bool)
  if not number or not 0 < weight < float('inf'):
    raise ValueError(
      f'{field}.weight: expected a number above 0, got {weight!r}'
    )
  size = entry.resize_to
  if not isinstance(size, tuple | list) or len(size) != 2:
    raise ValueError(
      f'{field}.resize_to: expected (height, width), or (0, 0) for none, got '
      f'{size!r}'
    )
  height, width = size
  entry = entry._replace(resize_to=(height, width))
  if part == 'evaluation' and (weight != 1 or any(size)):
    raise ValueError(
      f'{field}: expected weight 1 and resize_to (0, 0), as every set of the '
      'evaluation counts alike and is resized by config.data.eval_image_size, '
      f'got {weight} and {entry.resize_to}'
    )
  return entry


def title(data: Any, part: str) -> str:
  """Returns what the data set of a part is called, or its sets together."""
  return ' + '.join(
    str(entry.record.get('name', entry.record.get('kind', '')))
    for entry in entries(data, part)
  )


def make(values: Mapping[str, Any], field: str) -> Any:
  """Returns the record that a block of a config describes.

  Args:
    values: `kind` and the fields of that kind's record type.
    field: the config field of the block, for messages.

  Raises:
    ValueError: unknown or missing fields, or values that contradict each other.
  """
  values = dict(values.items())
  kind = values.pop('kind', None)
  if kind not in KINDS:
    raise ValueError(
      f'{field}.kind: expected one of {sorted(KINDS)}, got {kind!r}'
    )
  record = KINDS[kind].record
  for name in values:
    if name not in record._fields:
      near = difflib.get_close_matches(name, record._fields, n=1)
      raise ValueError(
        f'{field}.{name}: there is no such field of kind {kind!r}; '
        + (f'did you mean {near[0]}? ' if near else '')
        + f'expected {", ".join(record._fields)}'
      )
  _check_types(record, values, field)
  for name in record._fields:
    if name not in values and name not in record._field_defaults:
      raise ValueError(f'{field}.{name}: expected a value, got no such field')
  result = record(**values)
  KINDS[kind].check(result, field)
  return result


# Type of a field's default -> what is said of it, and what it takes.
_TYPES: dict[type, tuple[str, Any]] = {
  bool: ('True or False', bool),
  int: ('a whole number', int),
  float: ('a number', int | float),
  str: ('a text', str),
}


def _check_types(
  record: type[Any], values: Mapping[str, Any], field: str
) -> None:
  """Raises for a field of another type than its default, such as 'False'."""
  for name, default in record._field_defaults.items():
    value = values.get(name, default)
    expected, kind = _TYPES.get(type(default), ('', object))
    is_bool = isinstance(value, bool) and kind is not bool
    if expected and (is_bool or not isinstance(value, kind)):
      raise ValueError(f'{field}.{name}: expected {expected}, got {value!r}')


def check_channels(kind: str, channels: int, field: str) -> None:
  """Raises ValueError if a kind of data set has no such images.

  Args:
    kind: of a record.
    channels: `config.model.in_channels`.
    field: the config field of the record, for messages.
  """
  if channels != 3 and kind != 'folder':
    raise ValueError(
      f'config.model.in_channels: expected 3, as {field} is of kind {kind!r}, '
      f"whose images are RGB, got {channels}; files are of kind 'folder'"
    )


def class_names(data: Any, part: str) -> tuple[str, ...]:
  """Returns the classes of a part; arguments as of `entries`.

  Raises:
    ValueError: its sets have different ones.
  """
  found = {}
  for entry in entries(data, part):
    record = make(entry.record, entry.field)
    found[entry.field] = KINDS[entry.record['kind']].class_names(record)
  (first, names), *others = found.items()
  for field, other in others:
    if other != names:
      raise ValueError(
        f'{field}.class_names: expected the classes of {first} {names}, as all '
        f'sets of a part share one table, got {other}'
      )
  return names
