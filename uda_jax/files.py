"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
from typing import Any
import uuid


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Any]:
  """Yields the name of a temporary file that then takes the place of `path`.

  No reader sees half of a file, several processes may write the same one, and
  nothing stays if an exception is raised inside.

  Args:
    path: the file, str or path (`etils.epath` too); its folder is made.

  Yields:
    The path to write, in the same folder and with the same ending.
  """
  path = pathlib.Path(path) if isinstance(path, str) else path
  path.parent.mkdir(parents=True, exist_ok=True)
  unfinished = path.with_name(f'.{uuid.uuid4().hex}_{path.name}')
  try:
    yield unfinished
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)


def write_atomically(path: Any, content: bytes) -> None:
  """Writes a file, and its folder, whole or not at all."""
  with replacing(path) as unfinished:
    unfinished.write_bytes(content)


def check_out(path: pathlib.Path, *, folder: bool) -> None:
  """Raises OSError, naming --out, unless a command can write there.

  Called before the work whose results go there; makes nothing.

  Args:
    path: what --out names.
    folder: whether it is a folder, or a file.
  """
  kind = 'folder' if folder else 'file'
  if path.exists() and path.is_dir() != folder:
    raise OSError(
      f'--out: expected a {kind} to write, got the '
      f'{"file" if folder else "folder"} {path}'
    )
  above = path.absolute() if folder else path.absolute().parent
  while not above.exists():
    above = above.parent
  if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
    raise OSError(
      f'--out: expected a {kind} that can be written, got {path} in {above}, '
      f'which is {"read-only" if above.is_dir() else "a file"}'
    )


def to_json(tree: Any) -> bytes:
  """Encodes a tree as indented JSON; NaN and infinity are a ValueError."""
  return (json.dumps(tree, indent=2, allow_nan=False) + '\n').encode()
