"""A train step on a CPU beside a program of PyTorch, in turns.

  python -m benchmarks.train_step_peer --peer='PYTHON FILE'
  python -m benchmarks.train_step_peer --only=lite0,compact

The cases of `CASES` in float32, --rounds times each: first this library
(`benchmarks.train_step`), then the peer, a program that is not part of the
repository. It is called with the arguments of the case and prints a JSON line
with `seconds_per_step` and `framework`. Without --peer, and for cases that it
does not know, this library is measured alone. Both inherit the environment.

Prints a JSON line a case, as soon as it is measured. Let nothing else run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import os
import shlex
import statistics
import subprocess
import sys
from typing import Any, NamedTuple

from uda_jax import cli
from uda_jax import flag_values


class Case(NamedTuple):
  """A step.

  Attributes:
    ours: arguments of `benchmarks.train_step`.
    peer: arguments of the peer, () if it has no such step.
  """

  ours: tuple[str, ...]
  peer: tuple[str, ...] = ()


CASES = {
  'lite0': Case(
    ('--config=configs/camvid_to_idd/self_training.py', '--num_classes=7')
  ),
  'compact': Case(
    (
      '--config=configs/streets/self_training.py',
      '--num_classes=11',
    )
  ),
  'mit_b0': Case(
    (
      '--config=configs/gta5_to_cityscapes/daformer.py',
      '--config.model.encoder=mit_b0',
      '--crop=256',
    ),
    ('--system=daformer', '--encoder=b0', '--crop=256', '--batch=2'),
  ),
  'resnet101': Case(
    (
      '--config=configs/gta5_to_cityscapes/pixmatch.py',
      '--config.method.weight_augment=0.0',
      '--config.method.weight_fourier=0.1',
      '--crop=192',
    ),
    ('--system=pixmatch', '--encoder=r101', '--crop=192', '--batch=1'),
  ),
}


def last_line(command: Sequence[str]) -> dict[str, Any]:
  """Runs a command; returns the JSON of the last line that it prints."""
  done = subprocess.run(
    command, check=True, stdout=subprocess.PIPE, encoding='utf-8'
  )
  return json.loads(done.stdout.splitlines()[-1])


def measure(
  case: Case, peer: Sequence[str], rounds: int, steps: int
) -> dict[str, Any]:
  """Returns the row of a case, without its name.

  Args:
    case: the step.
    peer: the command of the peer, () for none.
    rounds: times that each is started.
    steps: that are timed in a round.
  """
  timed = (f'--steps={steps}', '--warmup=2')
  ours = (sys.executable, '-m', 'benchmarks.train_step', *case.ours, *timed)
  theirs = (*peer, *case.peer, '--dtype=f32', *timed)
  compares = bool(peer and case.peer)
  found: dict[str, list[dict[str, Any]]] = {'ours': [], 'peer': []}
  for _ in range(rounds):
    found['ours'].append(last_line(ours))
    if compares:
      found['peer'].append(last_line(theirs))
  seconds = {
    side: [line['seconds_per_step'] for line in lines]
    for side, lines in found.items()
  }
  median = {side: statistics.median(x) for side, x in seconds.items() if x}
  return dict(
    ours=seconds['ours'],
    peer=seconds['peer'],
    ratio=round(median['peer'] / median['ours'], 3) if compares else None,
    versions=[lines[0]['framework'] for lines in found.values() if lines],
    cores=os.cpu_count(),
    glibc_tunables=os.environ.get('GLIBC_TUNABLES', ''),
    command=shlex.join(('python', *ours[1:])),
    peer_arguments=shlex.join(theirs[len(peer) :]) if compares else '',
  )


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.train_step_peer', __doc__)
  group = result.add_argument_group('measurement')
  group.add_argument(
    '--peer', default='', metavar='COMMAND', help='of the peer; default: none'
  )
  group.add_argument(
    '--only',
    default=','.join(CASES),
    metavar='CASES',
    help=f'separated by commas; default: {",".join(CASES)}',
  )
  whole: dict[str, Any] = dict(type=flag_values.at_least(1), metavar='N')
  group.add_argument('--rounds', **whole, default=2, help='of each; default: 2')
  group.add_argument(
    '--steps', **whole, default=5, help='timed in a round; default: 5'
  )
  return result


def compare(args: argparse.Namespace) -> None:
  """Measures the cases, prints each row."""
  unknown = set(args.only.split(',')) - set(CASES)
  if unknown:
    raise ValueError(
      f'--only: expected some of {", ".join(CASES)}, got {sorted(unknown)}'
    )
  for name in args.only.split(','):
    row = dict(case=name) | measure(
      CASES[name], shlex.split(args.peer), args.rounds, args.steps
    )
    print(json.dumps(row), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), compare, argv)


if __name__ == '__main__':
  main()
