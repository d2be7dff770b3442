"""Files that are downloaded in place of weights, recognized by first bytes."""

from __future__ import annotations

import pathlib

# Bytes at the start of a file that are looked at.
HEAD = 64
_KINDS = (
  (
    b'version https://git-lfs',
    'a Git LFS pointer; run "git lfs pull" in its repository',
  ),
  (
    b'<!doctype html',
    'an HTML page; download the file itself, not the page that links to it',
  ),
  (
    b'<html',
    'an HTML page; download the file itself, not the page that links to it',
  ),
)


def check(path: pathlib.Path, head: bytes) -> None:
  """Raises ValueError, in one line, for a file that holds something else.

  Args:
    path: of the file.
    head: its first bytes, up to `HEAD`.
  """
  for mark, problem in _KINDS:
    if head.lstrip().lower().startswith(mark):
      raise ValueError(f'{path}: expected weights, got {problem}')
  if not head:
    raise ValueError(f'{path}: the file is empty; download it again')
