"""Reads the directory of a run for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any, NamedTuple

import ml_collections

from uda_jax import methods
from uda_jax.report import events
from uda_jax.runs import restore


class Run(NamedTuple):
  """A run as its files describe it.

  Attributes:
    name: unique among the runs of a page; part of the path.
    path: its directory, absolute.
    config: as of the last start, in today's fields.
    method: full name, such as 'self_training + masking'.
    class_names: C names.
    palette: C RGB triples.
    starts: of `manifest.json`, the first one first.
    results: row -> `evaluate.reports.report`; {} before the end of the run.
    notes: the lines below the table of `results.txt`.
    curves: scalars by name.
  """

  name: str
  path: pathlib.Path
  config: Mapping[str, Any]
  method: str
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  starts: Sequence[Mapping[str, Any]]
  results: Mapping[str, Mapping[str, Any]]
  notes: tuple[str, ...]
  curves: Mapping[str, events.Curve]

  @property
  def reported(self) -> str:
    """The row of `results` that the run reports, such as best."""
    best = self.config['eval'].get('checkpoint') == 'best'
    # Without evaluations during training, the best is the last.
    found = best and 'best' in self.results
    row = 'best' if found else self.config['eval']['network']
    # Its scores on labeled target images, which `uda_jax.adapt` adds, count.
    added = (name for name in self.results if name.startswith(f'{row}, on '))
    return next(added, row)


def runs(paths: Sequence[pathlib.Path]) -> list[Run]:
  """Reads runs.

  Args:
    paths: their directories.

  Raises:
    FileNotFoundError: a directory holds no run.
    ValueError: a directory is named twice, or a file in it is malformed.
  """
  resolved = [path.resolve() for path in paths]
  for path in resolved:
    if resolved.count(path) > 1:
      raise ValueError(f'{path}: expected each run once, got it twice')
  return [_run(path, name) for path, name in zip(resolved, _names(resolved))]


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
  """Returns the shortest ends of the paths that are all different."""
  for length in range(1, max(len(path.parts) for path in paths) + 1):
    names = ['/'.join(path.parts[-length:]) for path in paths]
    if len(set(names)) == len(names):
      break
  return names


def _run(path: pathlib.Path, name: str) -> Run:
  manifest = restore.read_manifest(path)
  classes = manifest['classes']
  starts = json.loads((path / 'manifest.json').read_text())['starts']
  config = manifest['config']
  return Run(
    name=name,
    path=path,
    config=config,
    method=methods.full_name(ml_collections.ConfigDict(config['method'])),
    class_names=tuple(classes['names']),
    palette=tuple(map(tuple, classes['palette'])),
    starts=starts,
    results=_results(path / 'results.json'),
    notes=_notes(path / 'results.txt'),
    curves=events.scalars(path / 'curves'),
  )


def _results(path: pathlib.Path) -> dict[str, Any]:
  """Returns the scores of a run; {} if it has none yet."""
  if not path.exists():
    return {}
  try:
    results = json.loads(path.read_text())
    if all({'iou', 'miou'} <= set(report) for report in results.values()):
      return results
  except (ValueError, TypeError, AttributeError):
    pass
  raise ValueError(
    f'{path}: expected the results of a run, got something else; delete it and '
    'start the run again, which only evaluates'
  )


def _notes(path: pathlib.Path) -> tuple[str, ...]:
  """Returns the lines after the empty line below the table."""
  if not path.exists():
    return ()
  _, _, notes = path.read_text().partition('\n\n')
  return tuple(filter(None, notes.splitlines()))


def flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns the fields of a config by dotted name."""
  fields: dict[str, Any] = {}
  for key, value in tree.items():
    name = f'{prefix}{key}'
    if isinstance(value, Mapping) and value:
      fields |= flat(value, f'{name}.')
    else:
      fields[name] = value
  return fields
