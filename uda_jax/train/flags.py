"""Flags of the commands that all processes of a run start alike.

Imports nothing slow, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse

from uda_jax import cli
from uda_jax import flag_values


def add(parser: cli.Parser) -> None:
  """Adds the flags: config, directory, and the processes of the run."""
  group = parser.add_argument_group('run')
  cli.add_config(group, 'what to train')
  cli.add_workdir(group, 'where checkpoints, curves and results go')
  group = parser.add_argument_group(
    'several processes',
    'on TPU pods and under Slurm or MPI JAX finds them without these flags;\n'
    'see docs/clusters.md',
  )
  group.add_argument(
    '--coordinator', metavar='HOST:PORT', default='', help='of process 0'
  )
  group.add_argument(
    '--num_processes',
    metavar='N',
    type=int,
    default=1,
    help='the processes of the run',
  )
  group.add_argument(
    '--process_id',
    metavar='I',
    type=int,
    default=0,
    help='which of them this is, from 0',
  )
  group.add_argument(
    '--start_timeout',
    metavar='SECONDS',
    type=flag_values.at_least(1),
    default=300,
    help='how long they wait for each other at the start (300); then they end '
    'with exit code 76',
  )


def check(args: argparse.Namespace) -> None:
  """Raises ValueError for flags that contradict each other."""
  from uda_jax import parallel

  parallel.check_coordinator(
    args.coordinator, args.num_processes, args.process_id
  )


def connect(args: argparse.Namespace) -> None:
  """Connects the processes; called once, before any device is used."""
  from uda_jax import parallel
  from uda_jax.parallel import relay

  parallel.start_processes(
    args.coordinator,
    args.num_processes,
    args.process_id,
    timeout=args.start_timeout,
    through=relay.through,
  )
