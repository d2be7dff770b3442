"""Values of flags: text to paths, sizes, numbers and lists, for argparse."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
import contextlib
import os
import pathlib
import re


def path(text: str) -> pathlib.Path:
  """Parses a path; ~ at its start is the home folder."""
  if not text:
    # It would be the current folder.
    raise argparse.ArgumentTypeError("expected a path, got ''")
  return pathlib.Path(text).expanduser()


def given(text: str) -> str:
  """Parses a folder, a file or a pattern as it is, but not none."""
  path(text)
  return text


def pattern(text: str) -> str:
  """Parses a folder, a file or a pattern; ~ at its start is the home folder."""
  return os.path.expanduser(given(text))


def size(text: str) -> tuple[int, int]:
  """Parses HEIGHTxWIDTH, e.g. 512x1024, in pixels."""
  found = re.fullmatch('([1-9][0-9]*)x([1-9][0-9]*)', text)
  if not found:
    raise argparse.ArgumentTypeError(
      f'expected HEIGHTxWIDTH such as 512x1024, got {text!r}'
    )
  return int(found[1]), int(found[2])


def at_least(least: int) -> Callable[[str], int]:
  """Returns a parser of whole numbers, `least` or more."""

  def parse(text: str) -> int:
    if not text.isdecimal() or int(text) < least:
      raise argparse.ArgumentTypeError(
        f'expected a whole number, {least} or more, got {text!r}'
      )
    return int(text)

  return parse


def above_zero(text: str) -> float:
  """Parses a finite number above 0."""
  with contextlib.suppress(ValueError):
    if 0 < (value := float(text)) < float('inf'):
      return value
  raise argparse.ArgumentTypeError(f'expected a number above 0, got {text!r}')


def names_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
  """Returns a parser of lists of some of the known names; see `names`."""
  known = tuple(known)

  def parse(text: str) -> tuple[str, ...]:
    found = names(text)
    for name in found:
      if name not in known:
        raise argparse.ArgumentTypeError(
          f'expected some of {", ".join(known)}, got {name!r}'
        )
    return found

  return parse


def names(text: str) -> tuple[str, ...]:
  """Parses a list with commas, e.g. source,target; () for no text."""
  found = [name.strip() for name in text.split(',') if text.strip()]
  # A name that is left out would move those behind it.
  if not all(found) or len(set(found)) < len(found):
    raise argparse.ArgumentTypeError(
      f'expected different names with commas between them, got {text!r}'
    )
  return tuple(found)
