"""Seconds from the start of a training to its first step; one JSON line each.

  python -m benchmarks.start

Each case is started twice, as the command that trains, with prepared data: with
an empty compile cache ('cold') and with what the first start left there
('cached'). The process is ended after its first step. CPU seconds are those of
all its threads: a busy machine changes them less than the wall time. Needs
Linux.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

from benchmarks import published_weights
from uda_jax import cli
from uda_jax import flag_values


class Case(NamedTuple):
  """A training.

  Attributes:
    config: name or file.
    pretrained: whether it starts from a weight file (of random values).
  """

  config: str
  pretrained: bool = False


CASES = {
  'compact': Case('streets/self_training'),
  'mit_b5': Case(
    str(pathlib.Path(__file__).with_name('small_mit_b5.py')), pretrained=True
  ),
}
# What a log line begins with, after its time -> name of the part that ends
# there. In the order of a start.
_PARTS = {
  'config: ': 'imports',
  'network: ': 'data and network',
  'compiling the train step': 'train state',
  'compiled in|read from the compile cache in': 'train step',
  'pictures took': 'pictures',
  'step 1/': 'first step',
}
_CHANGES = ('--config.log.every=1', '--config.log.seconds=0')


def cpu_seconds(pid: int) -> float:
  """Returns the CPU seconds that a process has used (Linux)."""
  stat = pathlib.Path(f'/proc/{pid}/stat').read_text()
  # The 14th and 15th field; the 2nd, in brackets, may hold blanks.
  ticks = sum(map(int, stat.rpartition(')')[2].split()[11:13]))
  return ticks / os.sysconf('SC_CLK_TCK')


def parts(lines: Sequence[tuple[float, str]]) -> dict[str, float]:
  """Returns the CPU seconds of the parts of a start.

  Args:
    lines: CPU seconds so far, and the log line without its time.

  Returns:
    Part -> seconds, in order; they add up to the first step.
  """
  result, before = {}, 0.0
  for beginning, name in _PARTS.items():
    found = [
      seconds
      for seconds, line in lines
      if line.startswith(tuple(beginning.split('|'))) and seconds >= before
    ]
    if not found:
      raise ValueError(f'the log of the start has no line {beginning!r}')
    result[name], before = round(found[0] - before, 1), found[0]
  return result


def first_step(arguments: Sequence[str], env: dict[str, str]) -> dict[str, Any]:
  """Starts a training and ends it after its first step.

  Args:
    arguments: of `uda_jax.main`.
    env: environment variables of the process.

  Returns:
    'seconds' (wall time) and 'cpu_seconds' to the first step, and the CPU
    seconds of its 'parts'.
  """
  lines = []
  begin = time.monotonic()
  with subprocess.Popen(
    [sys.executable, '-m', 'uda_jax.main', *arguments],
    stderr=subprocess.PIPE,
    text=True,
    env=env,
  ) as process:
    assert process.stderr
    for line in process.stderr:
      # Without the time of day.
      text = line.partition(' ')[2].strip()
      lines.append((cpu_seconds(process.pid), text))
      if text.startswith('step 1/'):
        seconds = time.monotonic() - begin
        break
    else:
      raise cli.Failed(f'the training ended before its first step:\n{line}')
    process.kill()
  return {
    'seconds': round(seconds, 1),
    'cpu_seconds': round(lines[-1][0], 1),
    'parts': parts(lines),
  }


def measure(name: str, folder: pathlib.Path) -> dict[str, Any]:
  """Returns the content of the JSON line of a case.

  Args:
    name: of `CASES`.
    folder: an empty one, for runs and programs.
  """
  case = CASES[name]
  env = dict(os.environ)
  # It would be used instead of the empty one.
  env.pop('JAX_COMPILATION_CACHE_DIR', None)
  config = [f'--config={case.config}']
  subprocess.run(
    [sys.executable, '-m', 'uda_jax.data.prepare', *config],
    check=True,
    env=env,
    stdout=subprocess.DEVNULL,
  )
  if case.pretrained:
    weights = folder / 'mit_b5.pth'
    published_weights.write_pth(weights, published_weights.mit_b5())
    config.append(f'--config.model.weights={weights}')
  config += [f'--config.compile_cache={folder / "compiled"}', *_CHANGES]
  starts = {
    kind: first_step([*config, f'--workdir={folder / kind}'], env)
    for kind in ('cold', 'cached')
  }
  return {'case': name, **starts}


def parser() -> cli.Parser:
  """Returns the flags."""
  result = cli.Parser('benchmarks.start', __doc__)
  group = result.add_argument_group('start')
  group.add_argument(
    '--cases',
    type=flag_values.names_of(CASES),
    default=tuple(CASES),
    metavar='NAME,NAME,...',
    help=f'default: all of {", ".join(CASES)}',
  )
  return result


def start(args: argparse.Namespace) -> None:
  """Prints one line for each case."""
  for name in args.cases:
    with tempfile.TemporaryDirectory() as folder:
      print(json.dumps(measure(name, pathlib.Path(folder))), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command; see the module's docstring."""
  cli.run(parser(), start, argv)


if __name__ == '__main__':
  main()
