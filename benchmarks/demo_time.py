"""Wall time of the demo from nothing, and its scores; one JSON line.

  python -m benchmarks.demo_time

Runs `python -m benchmarks.demo` with another home folder, so that no data is
prepared and no program is compiled.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from uda_jax import cli


def measure(seed: int, folder: pathlib.Path) -> dict[str, Any]:
  """Returns the content of the JSON line.

  Args:
    seed: of the runs.
    folder: an empty one.
  """
  env = os.environ | {'HOME': str(folder)}
  env.pop('JAX_COMPILATION_CACHE_DIR', None)
  runs = folder / 'demo'
  command = [sys.executable, '-m', 'benchmarks.demo', f'--seed={seed}']
  begin = time.monotonic()
  subprocess.run(
    [*command, f'--workdir={runs}'],
    check=True,
    env=env,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  seconds = time.monotonic() - begin
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return {
    'case': f'seed {seed}',
    'seconds': round(seconds),
    'cpu_seconds': round(used.ru_utime + used.ru_stime),
    'miou': {
      title: miou(runs / f'streets/{name}_seed{seed}', network)
      for title, name, network in (
        ('source-only', 'source_only', 'student'),
        ('adapted', 'self_training', 'teacher'),
      )
    },
  }


def miou(run: pathlib.Path, network: str) -> float:
  """Returns the score of a run's network, in percent."""
  report = json.loads((run / 'results.json').read_text())[network]
  return round(100 * report['miou']['all classes'], 1)


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.demo_time', __doc__)
  group = result.add_argument_group('demo')
  cli.add_seed(group, 'of the runs')
  return result


def demo_time(args: argparse.Namespace) -> None:
  """Prints the line."""
  with tempfile.TemporaryDirectory() as folder:
    print(json.dumps(measure(args.seed, pathlib.Path(folder))), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), demo_time, argv)


if __name__ == '__main__':
  main()
