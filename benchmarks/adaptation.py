"""mIoU tables of a benchmark: several runs, several seeds.

  python -m benchmarks.adaptation --benchmark=streets --seeds=0,1,2
  python -m benchmarks.adaptation --benchmark=camvid_to_idd --root=DIR \\
      --runs=source_only,self_training,oracle

Every run has its own directory under --workdir and resumes there; finished runs
are not repeated. `<workdir>/<benchmark>.md` is the table, the `.csv` beside it
has the IoU of each class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks import runs
from benchmarks import tables
from uda_jax import cli


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.adaptation', __doc__)
  group = result.add_argument_group('runs')
  runs.add_flags(group)
  group.add_argument(
    '--runs',
    type=cli.names,
    default=('source_only', 'source_augmented', 'self_training', 'oracle'),
    metavar='NAME,NAME,...',
    help='configs of the benchmark, one table row each; default: source_only,'
    'source_augmented,self_training,oracle',
  )
  group.add_argument(
    '--seeds',
    type=_seeds,
    default=(0, 1, 2),
    metavar='N,N,...',
    help='the table has their mean and standard deviation; default: 0,1,2',
  )
  return result


def _seeds(text: str) -> tuple[int, ...]:
  return tuple(map(cli.at_least(0), cli.names(text)))


def adaptation(args: argparse.Namespace) -> None:
  """Trains the missing runs and prints the table."""
  from uda_jax.evaluate import reports as reports_lib

  reports = {}
  for config in args.runs:
    for seed in args.seeds:
      result = runs.one_run(
        args.benchmark, config, seed, root=args.root, workdir=args.workdir
      )
      for name, report in result.reports.items():
        name = reports_lib.row_name(name, report)
        reports.setdefault(f'{config} ({name})', []).append(report)
    table = tables.write(reports, args.workdir, args.benchmark)
  print(table)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), adaptation, argv)


if __name__ == '__main__':
  main()
