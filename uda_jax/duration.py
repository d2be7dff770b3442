"""Durations as people write them, and the times of lines on progress."""

from __future__ import annotations

import time

_SECONDS_BETWEEN_LINES = 5.0


class LineTimer:
  """Times the lines on the progress of a piece of work."""

  def __init__(self) -> None:
    self._start = self._last = time.monotonic()

  def line_is_due(self) -> bool:
    """Returns True at most once in some seconds."""
    now = time.monotonic()
    if now <= self._last + _SECONDS_BETWEEN_LINES:
      return False
    self._last = now
    return True

  def seconds(self) -> float:
    """Returns the seconds since the beginning."""
    return time.monotonic() - self._start

  def left(self, done: int, total: int) -> str:
    """Returns the time that the rest takes, at the speed so far."""
    return text(self.seconds() / done * (total - done))


def text(seconds: float) -> str:
  """Returns such as 12s, 3m05s, 2h07m, 3d04h."""
  seconds = round(seconds)
  for large, small, size in (('d', 'h', 3600), ('h', 'm', 60), ('m', 's', 1)):
    base = 24 if large == 'd' else 60
    if seconds >= base * size:
      whole, part = divmod(seconds // size, base)
      return f'{whole}{large}{part:02d}{small}'
  return f'{seconds}s'
