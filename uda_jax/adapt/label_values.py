"""Values of label files as text: ids such as 7, colors such as #804080."""

from __future__ import annotations

from collections.abc import Sequence

# An id, or a color.
Value = int | tuple[int, int, int]


def parse(text: str) -> tuple[Value, ...]:
  """Parses `--ignore`: ids and colors, such as '255,#000000'; 'none' = ().

  Raises:
    ValueError: it is something else.
  """
  if text == 'none':
    return ()
  values: list[Value] = []
  for part in text.split(','):
    part = part.strip()
    if part.startswith('#') and len(part) == 7:
      number = int(part[1:], 16)
      values.append((number >> 16, number >> 8 & 255, number & 255))
    else:
      values.append(int(part))
  return tuple(values)


def text(value: Value) -> str:
  """Returns a value as `parse` reads it."""
  if isinstance(value, tuple):
    return '#{:02x}{:02x}{:02x}'.format(*value)
  return str(value)


def color(value: Value) -> tuple[int, ...]:
  """Returns a color, or an id as gray; () for ids beyond 8 bits."""
  if isinstance(value, tuple):
    return value
  return (value,) * 3 if 0 <= value <= 255 else ()


def listed(values: Sequence[Value], most: int = 8) -> str:
  """Lists values, the first of many."""
  shown = ', '.join(map(text, values[:most]))
  more = len(values) - most
  return f'{shown} and {more} more' if more > 0 else shown
