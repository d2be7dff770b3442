"""Checks that every process of a run makes, and that fail in all or in none.

A process that stopped alone would leave the others waiting. So all see all
answers, and the first thing that is wrong ends all of them with one line that
names the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
import socket
from typing import Any

from uda_jax.parallel import exchange


class ProcessError(Exception):
  """A check failed in some process, which the message names."""


def everywhere(check: Callable[[], Any]) -> list[Any]:
  """Returns what a check answers in each process, as JSON values.

  All processes call this.

  Args:
    check: raises an error if something is wrong in this process.

  Raises:
    ProcessError: in all processes, if the check failed in one.
  """
  try:
    answer = {'value': check()}
  except (ValueError, OSError, ImportError) as error:
    answer = {'error': str(error)}
  except Exception as error:  # the others must not wait for this process
    answer = {'error': f'{type(error).__name__}: {error}'}
  answers = [json.loads(text) for text in exchange.texts(json.dumps(answer))]
  failed = [i for i, answer in enumerate(answers) if 'error' in answer]
  if failed:
    fail(answers[failed[0]]['error'], failed)
  return [answer['value'] for answer in answers]


def same(what: str, values: Sequence[Any]) -> None:
  """Raises `ProcessError` unless all values are that of process 0.

  Args:
    what: the values are, for the message.
    values: one for each process.
  """
  other = [i for i, value in enumerate(values) if value != values[0]]
  if other:
    fail(
      f'{what}: expected {values[0]!r} as in process 0, got '
      f'{values[other[0]]!r}',
      other,
    )


def fail(message: str, processes: Sequence[int]) -> None:
  """Raises `ProcessError` in all processes.

  Args:
    message: of the first of `processes`.
    processes: numbers of those in which something is wrong, the same in all.
  """
  hosts = exchange.texts(socket.gethostname())
  where = f'process {processes[0]} of {len(hosts)} ({hosts[processes[0]]})'
  if len(processes) > 1:
    where += f', and {len(processes) - 1} more'
  raise ProcessError(f'{where}: {message}')
