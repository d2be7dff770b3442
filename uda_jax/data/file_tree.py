"""All files below a folder, of some endings.

Hidden files, empty files and links that lead nowhere are passed over, and
counted. Linked folders are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
import pathlib
from typing import NamedTuple

from uda_jax.data import listing


class FileTree(NamedTuple):
  """Files below a folder.

  Attributes:
    files: with the wanted endings, sorted.
    hidden: number of hidden and system files.
    empty: number of files of 0 bytes, and of links that lead nowhere.
  """

  files: tuple[pathlib.Path, ...]
  hidden: int
  empty: int


def find(
  folder: pathlib.Path,
  endings: tuple[str, ...] = listing.ENDINGS,
  *,
  leave_out: Callable[[set[str]], set[str]] = lambda names: set(),
) -> FileTree:
  """Returns all files below a folder, linked folders included.

  Args:
    folder: on a local disk.
    endings: of the files wanted, in lower case; any case matches.
    leave_out: from the names of sibling folders, those not to enter.
  """
  files: list[pathlib.Path] = []
  hidden = empty = 0
  for path in _below(folder, leave_out, ()):
    if listing.is_junk(path.name):
      hidden += 1
    elif path.name.lower().endswith(endings):
      file = listing.stat_file(path)
      if file is None or not file.size:
        empty += 1
      else:
        files.append(path)
  return FileTree(tuple(sorted(files)), hidden, empty)


def _below(
  folder: pathlib.Path,
  leave_out: Callable[[set[str]], set[str]],
  parents: tuple[str, ...],
) -> Iterator[pathlib.Path]:
  """Yields all files; a link to a folder above itself is not entered."""
  real = os.path.realpath(folder)
  if real in parents:
    return
  with os.scandir(folder) as entries:
    found = sorted(entries, key=lambda entry: entry.name)
  # Not `entry.is_dir`, which fails for a link to itself.
  folders = {entry.name for entry in found if os.path.isdir(entry.path)}
  entered = folders - leave_out(folders)
  for entry in found:
    if entry.name not in folders:
      yield folder / entry.name
    elif entry.name in entered and not entry.name.startswith('.'):
      yield from _below(folder / entry.name, leave_out, (*parents, real))
