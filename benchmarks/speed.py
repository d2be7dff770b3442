"""Measures what benchmarks/README.md says, and writes that page.

  python -m benchmarks.speed --cache_dir=DIR            # all that is missing
  python -m benchmarks.speed --cache_dir=DIR --parts=start,demo
  python -m benchmarks.speed --table                    # the page alone

Each part is a command that prints JSON lines; they are stored as soon as it
ends, in benchmarks/results/speed/PART.json. A part that is stored is measured
again only if --parts names it. Parts that compare with PyTorch or OpenCV need
these packages. Let nothing else run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import datetime
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks import speed_page
from uda_jax import cli
from uda_jax import files
from uda_jax import flag_values
from uda_jax.runs import provenance

ROOT = pathlib.Path(__file__).parents[1]
# Part -> arguments of its command; {cache_dir} is a folder for files, {peer} is
# the program of PyTorch whose train step is compared.
PARTS = {
  'train_step': ('benchmarks.train_step_peer', '--peer={peer}'),
  'start': ('benchmarks.start',),
  'input': (
    'benchmarks.input_pipeline',
    '--cache_dir={cache_dir}',
    '--forms=copies,raw,prepared',
    '--steps=8',
  ),
  'inference': ('benchmarks.inference_speed', '--cache_dir={cache_dir}'),
  'demo': ('benchmarks.demo_time',),
}


def machine() -> str:
  """Returns the name of the processor and the number of its cores."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
  except OSError:  # not Linux
    lines = []
  model = next((x for x in lines if x.startswith('model name')), ': a CPU')
  return f'{model.partition(":")[2].strip()}, {os.cpu_count()} cores'


def measure(part: str, cache_dir: pathlib.Path, peer: str) -> dict[str, Any]:
  """Runs the command of a part; returns its record.

  Args:
    part: of `PARTS`.
    cache_dir: for files that commands keep.
    peer: command of a program, see `benchmarks.train_step_peer`.

  Raises:
    cli.Failed: the command failed; it has said why.
  """
  arguments = ['-m', *PARTS[part]]
  full = [text.format(cache_dir=cache_dir, peer=peer) for text in arguments]
  done = subprocess.run(
    [sys.executable, *full], stdout=subprocess.PIPE, text=True, cwd=ROOT
  )
  if done.returncode:
    raise cli.Failed(f'{part}: its command failed')
  return {
    'part': part,
    'date': datetime.date.today().isoformat(),
    'machine': machine(),
    'load': round(os.getloadavg()[0], 1),
    'versions': provenance.versions(speed_page.PACKAGES),
    'command': ' '.join(('python', *arguments)).format(
      cache_dir='DIR', peer='PEER'
    ),
    'lines': [json.loads(x) for x in done.stdout.splitlines() if x],
  }


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.speed', __doc__)
  group = result.add_argument_group('measurement')
  group.add_argument(
    '--parts',
    type=flag_values.names_of(PARTS),
    default=(),
    metavar='NAME,NAME,...',
    help=f'of {", ".join(PARTS)}; default: those that are not stored',
  )
  group.add_argument(
    '--cache_dir',
    type=flag_values.path,
    default=pathlib.Path('build/speed'),
    metavar='DIR',
    help='for files that are written once; default: build/speed',
  )
  group.add_argument(
    '--peer',
    default='',
    metavar='COMMAND',
    help='a program of PyTorch, see benchmarks.train_step_peer; default: none',
  )
  group.add_argument(
    '--table', action='store_true', help='measure nothing, write the page'
  )
  return result


def speed(args: argparse.Namespace) -> None:
  """Measures and writes."""
  parts = args.parts or [
    part for part in PARTS if not speed_page.path(part).exists()
  ]
  for part in () if args.table else parts:
    record = measure(part, args.cache_dir.absolute(), args.peer)
    files.write_atomically(speed_page.path(part), files.to_json(record))
    print(f'{part}: stored', flush=True)
  files.write_atomically(speed_page.PAGE, speed_page.page().encode())
  print(f'{speed_page.PAGE.relative_to(ROOT)}: written')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), speed, argv)


if __name__ == '__main__':
  main()
