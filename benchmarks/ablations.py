"""Ablations: a method with some of its terms, one table row each.

  python -m benchmarks.ablations --methods=pixmatch,ehtdi,lse,pipa,cluda

All rows have the same steps, seed and data. Runs resume; one that is done is
not repeated; `<workdir>/<benchmark>_<method>.md` holds a method's table. Leaves
that a benchmark lacks (the released forms, on real images) have no row.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

from absl import app
from absl import flags

from benchmarks import runs
from benchmarks import tables
from uda_jax import configs

# method -> rows: name, leaf, changed fields of `config.method`.
ROWS: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
  'pixmatch': (
    ('augmentation', 'pixmatch', {}),
    ('Fourier', 'pixmatch', {'weight_augment': 0.0, 'weight_fourier': 0.1}),
    ('CutMix', 'pixmatch', {'weight_augment': 0.0, 'weight_cutmix': 0.1}),
    (
      'Fourier and CutMix',
      'pixmatch',
      {'weight_augment': 0.0, 'weight_fourier': 0.1, 'weight_cutmix': 0.1},
    ),
    ('all three', 'pixmatch', {'weight_fourier': 0.1, 'weight_cutmix': 0.1}),
  ),
  'ehtdi': (
    (
      'views and class paste',
      'ehtdi',
      {'weight_into_source': 0.0, 'weight_view_contrast': 0.0},
    ),
    ('and target into source', 'ehtdi', {'weight_view_contrast': 0.0}),
    ('and contrast', 'ehtdi', {}),
    ('and edges', 'ehtdi_edge', {}),
  ),
  'lse': (
    ('without focal term', 'lse', {'weight_focal': 0.0}),
    ('all', 'lse', {}),
    ('as released', 'lse_released', {}),
  ),
  'pipa': (
    ('pixels', 'pipa', {'patch_contrast.weight': 0.0}),
    ('patches', 'pipa', {'pixel_contrast.weight': 0.0}),
    ('both', 'pipa', {}),
    ('as released', 'pipa_released', {}),
  ),
  'cluda': (
    ('contrast', 'cluda', {}),
    ('as released', 'cluda_released', {}),
  ),
}

_BENCHMARK = flags.DEFINE_string('benchmark', 'streets', 'Folder in configs/.')
_METHODS = flags.DEFINE_list('methods', list(ROWS), 'Which of the tables.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of all runs.')
_ROOT = flags.DEFINE_string('root', '', 'config.data.root, for real images.')
_WORKDIR = flags.DEFINE_string('workdir', 'runs', 'Where the runs go.')


def rows(benchmark: str, method: str) -> list[tuple[str, str, dict[str, Any]]]:
  """The rows whose leaf the benchmark has: name, leaf, changed fields."""
  if method not in ROWS:
    raise ValueError(
      f'--methods: expected some of {list(ROWS)}, got {method!r}'
    )
  known = configs.paths()
  if benchmark not in {name.split('/')[0] for name in known}:
    raise ValueError(
      f'--benchmark: expected a folder in configs/, got {benchmark!r}'
    )
  return [
    (name, leaf, {f'method.{field}': value for field, value in changes.items()})
    for name, leaf, changes in ROWS[method]
    if f'{benchmark}/{leaf}' in known
  ]


def _table(method: str, workdir: pathlib.Path) -> str:
  """Runs what is missing; writes and returns one method's table."""
  reports = {}
  for name, leaf, changes in rows(_BENCHMARK.value, method):
    folder = '_'.join(
      (
        leaf,
        *(
          f'{field.removeprefix("method.")}={value}'
          for field, value in changes.items()
        ),
      )
    )
    result = runs.one_run(
      _BENCHMARK.value,
      leaf,
      _SEED.value,
      root=_ROOT.value,
      workdir=workdir,
      name=folder,
      changes=changes,
    )
    network = result.run.config.eval.network
    reports[f'{method}: {name} ({network})'] = [result.reports[network]]
  return tables.write(reports, workdir, f'{_BENCHMARK.value}_{method}')


def main(argv):
  """Prints the tables."""
  del argv
  from uda_jax import cli

  cli.plain_log()
  workdir = pathlib.Path(_WORKDIR.value)
  try:
    for method in _METHODS.value:  # before hours of runs
      rows(_BENCHMARK.value, method)
  except ValueError as error:
    sys.exit(f'error: {error}')
  for method in _METHODS.value:
    print(_table(method, workdir))


if __name__ == '__main__':
  app.run(main)
