"""The CPU cores that this process may use."""

from __future__ import annotations

import os


def count() -> int:
  """Returns their number.

  Schedulers give a task some of the cores of a machine, as `taskset` does;
  `os.cpu_count` has all of them.
  """
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
