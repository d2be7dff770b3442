"""Configs of all runs: one file each, found by name or by path.

The files lie in `configs/` at the top level of the repository. A wheel has them
as subpackages of this package, so both import as `uda_jax.configs.streets.mic`.
"""

from __future__ import annotations

from collections.abc import Sequence
import difflib
import importlib.util
import os
import pathlib
import traceback

import ml_collections

_HERE = pathlib.Path(__file__).parent
if not (_HERE / 'blocks').is_dir():  # a checkout, not a wheel
  __path__.append(str(_HERE.parents[1] / 'configs'))
FOLDER = pathlib.Path(__path__[-1])

# Files in a benchmark's folder that are no runs.
_PARTS = ('__init__', 'base')


def paths() -> dict[str, pathlib.Path]:
  """Returns the file of each config: 'streets/mic' -> its path, sorted."""
  found = sorted(FOLDER.glob('*/*.py'))
  return {
    f'{path.parent.name}/{path.stem}': path
    for path in found
    if path.parent.name != 'blocks' and path.stem not in _PARTS
  }


def load(name_or_path: str | os.PathLike[str]) -> ml_collections.ConfigDict:
  """Returns the locked config that `get_config()` of a file returns.

  Args:
    name_or_path: name of one of this library's configs, such as 'streets/mic',
      or path of a Python file.

  Raises:
    ValueError: in one line: there is no such config or file, the file fails
      (with the line), or it has no `get_config` that returns a ConfigDict.
  """
  path = _find(os.fspath(name_or_path))
  module = _execute(path)
  if not callable(getattr(module, 'get_config', None)):
    raise ValueError(f'config {path}: expected a function get_config()')
  try:
    config = module.get_config()
  except Exception as error:
    raise ValueError(_failure(path, error)) from error
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f'config {path}: expected get_config() to return a '
      f'ml_collections.ConfigDict, got {type(config).__name__}'
    )
  return config.lock()


def _find(text: str) -> pathlib.Path:
  """Returns the file of a name or path."""
  known = paths()
  if not text:
    raise ValueError(
      "config: expected a name or a Python file, got ''; "
      '`python -m uda_jax.configs` lists all names'
    )
  if text in known:
    return known[text]
  path = pathlib.Path(text).expanduser()
  if path.suffix == '.py' and path.is_file():
    return path
  kind = 'file' if path.suffix == '.py' else 'config'
  raise ValueError(
    f'config {text!r}: there is no such {kind}{_hint(path, [*known])}; '
    '`python -m uda_jax.configs` lists all names'
  )


def _hint(path: pathlib.Path, known: Sequence[str]) -> str:
  """Returns '; did you mean ...?' with the nearest names, or ''."""
  name = '/'.join(path.with_suffix('').parts[-2:])
  same_run = [other for other in known if other.endswith(f'/{name}')]
  close = same_run or difflib.get_close_matches(name, known, cutoff=0.8)
  return f'; did you mean {" or ".join(close)}' if close else ''


def _execute(path: pathlib.Path):
  """Returns the module that a file defines."""
  spec = importlib.util.spec_from_file_location(f'config_{path.stem}', path)
  assert spec and spec.loader  # it is a .py file
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
  except Exception as error:
    raise ValueError(_failure(path, error)) from error
  return module


def _failure(path: pathlib.Path, error: Exception) -> str:
  """Returns one line: the file, its line, and the error that it raised."""
  lines = [
    frame.lineno
    for frame in traceback.extract_tb(error.__traceback__)
    if os.path.abspath(frame.filename) == os.path.abspath(path)
  ]
  if isinstance(error, SyntaxError) and error.filename == str(path):
    lines.append(error.lineno)
  where = f', line {lines[-1]}' if lines else ''
  reason = ' '.join(str(error).split())
  return f'config {path}{where}: {type(error).__name__}: {reason}'
