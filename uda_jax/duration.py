"""Durations as people write them."""

from __future__ import annotations


def text(seconds: float) -> str:
  """Returns such as 12s, 3m05s, 2h07m, 3d04h."""
  seconds = round(seconds)
  for large, small, size in (('d', 'h', 3600), ('h', 'm', 60), ('m', 's', 1)):
    base = 24 if large == 'd' else 60
    if seconds >= base * size:
      whole, part = divmod(seconds // size, base)
      return f'{whole}{large}{part:02d}{small}'
  return f'{seconds}s'
