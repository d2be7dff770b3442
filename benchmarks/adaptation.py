"""Trains the runs of docs/reproduce.md and stores their results.

  python -m benchmarks.adaptation --root=DIR
  python -m benchmarks.adaptation --benchmark=camvid_to_idd --root=DIR \\
      --configs=source_only,mic --seeds=0,1,2 --steps=3200
  python -m benchmarks.adaptation --list

Without --configs, the runs are those of the table `PLAN` in benchmarks/plan.py.
Each run is stored as soon as it ends, in benchmarks/results/runs; stored runs
are not repeated, and a run that was stopped resumes. Then `make tables` writes
the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import pathlib

from benchmarks import plan
from benchmarks import records
from benchmarks import runs
from uda_jax import cli
from uda_jax import flag_values


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.adaptation', __doc__)
  group = result.add_argument_group('runs')
  group.add_argument(
    '--benchmark',
    type=flag_values.names,
    default=plan.benchmarks(),
    metavar='NAME,NAME,...',
    help=f'folders in configs/; default: {",".join(plan.benchmarks())}',
  )
  group.add_argument(
    '--configs',
    type=flag_values.names,
    default=(),
    metavar='NAME,NAME,...',
    help='configs of these benchmarks; default: those of the plan',
  )
  group.add_argument(
    '--seeds',
    type=_seeds,
    default=(),
    metavar='N,N,...',
    help='default: those of the plan, or 0,1,2',
  )
  group.add_argument(
    '--steps',
    type=flag_values.at_least(0),
    default=None,
    metavar='N',
    help='length of the runs, 0: that of each config; default: all of the plan',
  )
  group.add_argument(
    '--list', action='store_true', help='list the runs, train none'
  )
  runs.add_folders(group)
  group.add_argument(
    '--results',
    type=pathlib.Path,
    default=records.FOLDER,
    metavar='DIR',
    help='stored results; default: benchmarks/results/runs',
  )
  return result


def _seeds(text: str) -> tuple[int, ...]:
  return tuple(map(flag_values.at_least(0), flag_values.names(text)))


def adaptation(args: argparse.Namespace) -> None:
  """Trains and stores the runs that are not stored yet."""
  rows = plan.chosen(args.benchmark, args.configs, args.seeds, args.steps)
  jobs = list(plan.jobs(rows))
  if not jobs:
    raise ValueError(
      '--benchmark, --steps: expected a row of PLAN in benchmarks/plan.py, got '
      f'{",".join(args.benchmark)} with {args.steps}; name --configs for others'
    )
  for number, job in enumerate(jobs, 1):
    file = records.path(args.results, job)
    name = f'{job.benchmark}/{job.config}, {job.steps} steps, seed {job.seed}'
    line = f'{number} of {len(jobs)}: {name}'
    if file.exists():
      print(f'{line}: stored', flush=True)
      continue
    print(f'{line}: {"missing" if args.list else "runs"}', flush=True)
    if not args.list:
      workdir = runs.stored_run(job, root=args.root, workdir=args.workdir)
      records.write(args.results, job, workdir)
      score = _score(records.read(file))
      print(f'{line}: mIoU {score}', flush=True)


def _score(record: records.Record) -> str:
  report = records.report(record, record.reported)
  return f'{100 * next(iter(report["miou"].values())):.1f} ({record.reported})'


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), adaptation, argv)


if __name__ == '__main__':
  main()
