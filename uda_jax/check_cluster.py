"""Checks all machines of a run in a minute, before hours of training.

  python -m uda_jax.check_cluster FLAGS_OF_uda_jax.main
  sbatch ... launch/slurm.sh --check FLAGS_OF_uda_jax.main

Each process of the run starts it as it would start uda_jax.main, with the same
flags. Prints a table of the processes and their devices, and whether

  all devices answer to one addition,
  clocks, code, packages and config are the same everywhere,
  all processes write to one --workdir and see each other's files,
  all read the same data (what is not prepared yet is prepared),
  the groups divide over the devices,
  the train step fits into the memory of a device (--memory).

Exit codes: 0 all is well; 1 something is wrong: one line says what, and in
which process; 76 another process did not come within --start_timeout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from uda_jax import cli
from uda_jax import words
from uda_jax.train import flags


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('uda_jax.check_cluster', __doc__)
  flags.add(result)
  group = result.add_argument_group('check')
  group.add_argument(
    '--memory',
    action='store_true',
    help='also compile the train step (minutes for a large network), and '
    'compare the memory that it plans with that of the devices',
  )
  return result


def _lines(args: argparse.Namespace) -> Iterator[str]:
  """Does one check after the other; yields what each has found."""
  from uda_jax import configs
  from uda_jax.configs import overrides
  from uda_jax.parallel import joint_checks
  from uda_jax.train import cluster

  machines = cluster.machines()
  yield from _table(machines)
  yield f'clocks differ by {cluster.clocks():.3f} s'
  yield f'code: {cluster.code()}'
  loaded: list[Any] = []
  joint_checks.everywhere(
    lambda: loaded.append(
      overrides.apply(configs.load(args.config), args.overrides)
    )
  )
  [config] = loaded
  cluster.config(config)
  yield f'config: {args.config}, the same in all processes'
  cluster.devices(config, machines)
  yield f'batch: {config.batch.groups} groups divide over the devices'
  count, seconds = cluster.add_up(config)
  yield f'addition over {count} devices: {1000 * seconds:.1f} ms'
  workdir = cluster.workdir(args.workdir, config)
  yield f'workdir: {workdir}, written and seen by all'
  with cli.hidden_stderr(not args.debug):
    from uda_jax.train import setup  # noqa: F401, with TensorFlow
  for part, facts in cluster.data(config).items():
    images = words.counted(facts['images'], 'image')
    yield f'{part}: {facts["name"]}, {images}, read by all'
  if args.memory:
    planned = cluster.memory(config, workdir, machines) / 2**30
    there = min(m.bytes for m in machines) / 2**30
    yield f'memory: the step plans {planned:.2g} of {there:.1f} GiB a device'


def _table(machines: Sequence[Any]) -> Iterator[str]:
  """Yields a line a process."""
  width = max(len('host'), *(len(m.host) for m in machines))
  yield f'{"process":<8} {"host":<{width}} {"cores":>5} {"GiB each":>8} devices'
  for i, m in enumerate(machines):
    yield (
      f'{i:<8} {m.host:<{width}} {m.cores:>5} {m.bytes / 2**30:>8.1f} '
      f'{m.devices} x {m.kind}'
    )


def check(args: argparse.Namespace) -> int:
  """Runs the checks; returns the exit code."""
  flags.connect(args)
  import jax

  from uda_jax import parallel
  from uda_jax.parallel import joint_checks
  from uda_jax.runs import progress

  first = jax.process_index() == 0
  try:
    with progress.log_lines(first):
      for line in _lines(args):
        if first:
          print(line, flush=True)
  except joint_checks.ProcessError as error:
    parallel.stop_processes()
    if first:
      raise cli.Failed(str(error)) from error
    return 1
  if first:
    print('all is well')
  return 0


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), check, argv)


if __name__ == '__main__':
  main()
