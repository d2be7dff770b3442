"""Commands of a rehearsal: started, stopped, measured, read back from logs."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import NamedTuple

_LOSS = re.compile(r'step (\d+)/\d+ .*?loss (\S+)')
_PROGRAM = re.compile(
  # XLA's alarm of a slow compilation stands between the two lines.
  r'compiling (.*) \(once.*\n(?:(?!.* compiling ).*\n)*?'
  r'.*(compiled|read from the compile cache) in '
  r'(\d+)s, (\d+)s of it tracing; it plans (\S+) GiB'
)


class Failed(Exception):
  """A command that failed."""


class TooLarge(Exception):
  """A command that was ended, since a program plans more than the memory."""


class Usage(NamedTuple):
  """Cost of a command: wall-clock seconds and peak memory."""

  seconds: float
  gib: float


class Program(NamedTuple):
  """A compiled program, as a training run logs it.

  Attributes:
    name: 'the train step', 'the train step from step 1', ...
    cached: whether it was read from the compile cache.
    seconds: to trace, and to compile or to read it.
    tracing: the part of them that traced it.
    gib: memory that it plans on the device.
  """

  name: str
  cached: bool
  seconds: float
  tracing: float
  gib: float


def programs(text: str) -> list[Program]:
  """Returns the programs of the log of a training run, in order."""
  return [
    Program(name, how != 'compiled', float(took), float(tracing), float(gib))
    for name, how, took, tracing, gib in _PROGRAM.findall(text)
  ]


def losses(*logs: pathlib.Path) -> dict[int, float]:
  """Returns step -> total loss from the logs of a training run."""
  text = ''.join(log.read_text() for log in logs)
  return {int(n): float(x) for n, x in _LOSS.findall(text)}


def run(
  args: list[str],
  log: pathlib.Path,
  *,
  stop_at: str = '',
  code: int = 0,
  memory: float = 0.0,
) -> Usage:
  """Runs a module of this library.

  Args:
    args: what follows `python -m`.
    log: the file that keeps what the command prints.
    stop_at: a text of the log after which the command gets SIGTERM.
    code: the exit code to expect.
    memory: GiB that a program may plan; 0: any number.

  Raises:
    Failed: with the last line that was printed.
    TooLarge: a program plans more; it is ended before or while it runs.
  """
  log.parent.mkdir(parents=True, exist_ok=True)
  begin = time.monotonic()
  with log.open('w') as file:
    process = subprocess.Popen(
      [sys.executable, '-m', *args], stdout=file, stderr=subprocess.STDOUT
    )
  large = 0.0
  while True:
    ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    if ended:
      break
    text = log.read_text()
    if stop_at and stop_at in text:
      process.send_signal(signal.SIGTERM)
      stop_at = ''
    if memory and not large:
      large = max((p.gib for p in programs(text)), default=0.0)
      large = large if large > memory else 0.0
      if large:
        process.kill()
    time.sleep(0.2)
  process.returncode = os.waitstatus_to_exitcode(status)
  if large:
    raise TooLarge(f'a program plans {large:.1f} GiB, more than {memory:.0f}')
  if process.returncode != code:
    last = (log.read_text().strip().splitlines() or ['no output'])[-1]
    killed = process.returncode == -signal.SIGKILL
    hint = ' (killed; by the system if the memory is full)' if killed else ''
    raise Failed(
      f'{args[0]}: expected exit code {code}, got {process.returncode}{hint}: '
      f'{last}'
    )
  seconds = time.monotonic() - begin
  return Usage(round(seconds, 1), round(usage.ru_maxrss / 2**20, 2))
