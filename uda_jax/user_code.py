"""Python files of the user that a command executes first."""

from __future__ import annotations

from collections.abc import Sequence
import runpy
from typing import Any


def add_flag(group: Any) -> None:
  """Adds `--import=FILE.py` to a group of a command's flags."""
  group.add_argument(
    '--import',
    dest='imports',
    action='append',
    default=[],
    metavar='FILE.py',
    help='execute a file of yours first, which adds your networks to the '
    'tables; see docs/own_method.md',
  )


def execute(paths: Sequence[str]) -> None:
  """Executes files, which add networks, methods, ... to the library's tables.

  Args:
    paths: of the files, as the user names them on the command line. Nothing
      else names one: no config, manifest or weight file.

  Raises:
    ValueError: in one line: a file is missing or fails.
  """
  for path in paths:
    try:
      runpy.run_path(path)
    except Exception as error:  # Anything that a user's file may raise.
      raise ValueError(
        f'--import={path}: {type(error).__name__}: {error}'
      ) from error
