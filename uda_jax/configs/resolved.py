"""Configs as text: one `field = value` a line, sorted by dotted name.

`configs/resolved/` holds the text of all configs, one file per benchmark, so
that the diff of a change shows which runs it affects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import pathlib
from typing import Any

import ml_collections

from uda_jax import configs

_HEADER = """\
# Resolved configs of {benchmark}: the fields that all have in common, then the
# others of each. Made by `python -m uda_jax.configs --write`.
"""


def fields(
  config: ml_collections.ConfigDict, prefix: str = ''
) -> Iterator[tuple[str, Any]]:
  """Yields (dotted name, value) of all fields; an empty block is {}."""
  for key in config:
    name, value = f'{prefix}{key}', config[key]
    if not isinstance(value, ml_collections.ConfigDict):
      yield name, value
    elif value:
      yield from fields(value, f'{name}.')
    else:
      yield name, {}


def as_text(config: ml_collections.ConfigDict) -> dict[str, str]:
  """Returns the fields: dotted name -> value as a Python literal, sorted."""
  return {name: repr(value) for name, value in sorted(fields(config))}


def lines(text: Mapping[str, str]) -> list[str]:
  """Returns one line a field."""
  return [f'{name} = {value}' for name, value in text.items()]


def difference(
  old: ml_collections.ConfigDict, new: ml_collections.ConfigDict
) -> list[str]:
  """Returns '- field = value' for the old config, '+ ...' for the new one."""
  a, b = as_text(old), as_text(new)
  found = []
  for name in sorted({*a, *b}):
    if a.get(name) != b.get(name):
      found += [f'- {name} = {a[name]}'] if name in a else []
      found += [f'+ {name} = {b[name]}'] if name in b else []
  return found


def folder() -> pathlib.Path:
  """Returns the folder of the resolved configs; raises outside a checkout."""
  path = configs.FOLDER / 'resolved'
  if not path.is_dir():
    raise ValueError(f'{path}: no such folder; it is in the repository alone')
  return path


def files() -> dict[str, str]:
  """Returns the text of each file: name -> content."""
  benchmarks: dict[str, dict[str, dict[str, str]]] = {}
  for name in configs.paths():
    benchmark, run = name.split('/')
    benchmarks.setdefault(benchmark, {})[run] = as_text(configs.load(name))
  return {
    f'{benchmark}.txt': _file(benchmark, runs)
    for benchmark, runs in benchmarks.items()
  }


def _file(benchmark: str, runs: Mapping[str, Mapping[str, str]]) -> str:
  """Returns the common fields, then a section for each run."""
  first, *others = runs.values()
  common = {
    name: value
    for name, value in first.items()
    if all(other.get(name) == value for other in others)
  }
  sections = [_HEADER.format(benchmark=benchmark) + '\n'.join(lines(common))]
  for run, text in runs.items():
    own = {name: v for name, v in text.items() if name not in common}
    sections.append('\n'.join([f'[{benchmark}/{run}]', *lines(own)]))
  return '\n\n'.join(sections) + '\n'


def write() -> list[pathlib.Path]:
  """Writes all files anew; returns those that changed."""
  texts = files()
  changed = []
  for path in folder().glob('*.txt'):
    if path.name not in texts:
      path.unlink()
      changed.append(path)
  for name, text in texts.items():
    path = folder() / name
    if not path.is_file() or path.read_text() != text:
      path.write_text(text)
      changed.append(path)
  return changed
