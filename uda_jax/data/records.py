"""The kinds of data sets that a config can describe; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import difflib
from typing import Any, NamedTuple

from uda_jax.data import folder_record
from uda_jax.data import renderers
from uda_jax.data import scenes

# The data sets of a run; the target's labels are never wanted.
PARTS = ('source', 'target', 'evaluation')


class Kind(NamedTuple):
  """A kind of data set.

  Attributes:
    record: the type of its records.
    check: `check(record, field)` raises ValueError for a bad record.
    class_names: of a record.
  """

  record: type
  check: Callable[[Any, str], None]
  class_names: Callable[[Any], tuple[str, ...]]


KINDS = {
  'folder': Kind(
    folder_record.FolderRecord,
    folder_record.check,
    lambda record: tuple(record.class_names),
  ),
  **{
    kind: Kind(
      renderer.record,
      scenes.check,
      lambda record, renderer=renderer: renderer.class_names,
    )
    for kind, renderer in renderers.RENDERERS.items()
  },
}


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
  for name in record._fields:
    if name not in values and name not in record._field_defaults:
      raise ValueError(f'{field}.{name}: expected a value, got no such field')
  result = record(**values)
  KINDS[kind].check(result, field)
  return result


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


def class_names(values: Mapping[str, Any], field: str) -> tuple[str, ...]:
  """Returns the classes of a block's data set; arguments as for `make`."""
  record = make(values, field)
  return KINDS[values['kind']].class_names(record)
