"""Ablations: a method with some of its terms, one table row each.

  python -m benchmarks.ablations --methods=pixmatch,ehtdi,lse,pipa,cluda

All rows have the same steps, seed and data. Runs resume, and finished runs are
not repeated. `<workdir>/<benchmark>_<method>.md` is the table of a method.
Configs that a benchmark lacks (the released ones, on real images) have no row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks import runs
from benchmarks import tables
from uda_jax import cli
from uda_jax import configs
from uda_jax import flag_values

# method -> rows: name, config, changed fields of `config.method`.
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


def rows(benchmark: str, method: str) -> list[tuple[str, str, dict[str, Any]]]:
  """Returns the rows whose config exists: name, config, changed fields."""
  known = configs.paths()
  if benchmark not in {name.split('/')[0] for name in known}:
    raise ValueError(
      f'--benchmark: expected a folder in configs/, got {benchmark!r}'
    )
  return [
    (
      name,
      config,
      {f'method.{field}': value for field, value in changes.items()},
    )
    for name, config, changes in ROWS[method]
    if f'{benchmark}/{config}' in known
  ]


def _table(args: argparse.Namespace, method: str) -> str:
  """Trains the missing runs; writes and returns one method's table."""
  reports = {}
  for name, config, changes in rows(args.benchmark, method):
    fields = (
      f'{field.removeprefix("method.")}={value}'
      for field, value in changes.items()
    )
    result = runs.one_run(
      args.benchmark,
      config,
      args.seed,
      root=args.root,
      workdir=args.workdir,
      name='_'.join((config, *fields)),
      changes=changes,
    )
    network = result.run.config.eval.network
    reports[f'{method}: {name} ({network})'] = [result.reports[network]]
  return tables.write(reports, args.workdir, f'{args.benchmark}_{method}')


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.ablations', __doc__)
  group = result.add_argument_group('runs')
  runs.add_flags(group)
  group.add_argument(
    '--methods',
    type=flag_values.names_of(ROWS),
    default=tuple(ROWS),
    metavar='NAME,NAME,...',
    help=f'default: {",".join(ROWS)}',
  )
  cli.add_seed(group, 'of all runs')
  return result


def ablations(args: argparse.Namespace) -> None:
  """Prints the tables."""
  for method in args.methods:  # before hours of runs
    rows(args.benchmark, method)
  for method in args.methods:
    print(_table(args, method))


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), ablations, argv)


if __name__ == '__main__':
  main()
