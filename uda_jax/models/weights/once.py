"""Reading a weight file once, while several functions ask for it.

A start checks a file, loads it, and says where each part of the network comes
from: files of gigabytes, on disks that other machines share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import contextvars
import functools
import pathlib
from typing import TypeVar

T = TypeVar('T')

# What was read of each file so far; None outside of `reading_once`.
_KEPT: contextvars.ContextVar[dict | None] = contextvars.ContextVar(
  'kept', default=None
)


@contextlib.contextmanager
def reading_once() -> Iterator[None]:
  """Keeps what is read of weight files inside, for the next who asks.

  The files must not change meanwhile. The memory is free again at the end.
  """
  token = _KEPT.set({})
  try:
    yield
  finally:
    _KEPT.reset(token)


def kept(function: Callable[[pathlib.Path], T]) -> Callable[[pathlib.Path], T]:
  """Returns a reader of files that reads once inside `reading_once`.

  Args:
    function: from a path to what is read; callers do not change the result.
  """

  @functools.wraps(function)
  def read(path: pathlib.Path) -> T:
    found = _KEPT.get()
    if found is None:
      return function(path)
    key = function, path
    if key not in found:
      found[key] = function(path)
    return found[key]

  return read
