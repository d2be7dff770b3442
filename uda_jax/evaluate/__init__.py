"""Scores of networks and of label files; `python -m uda_jax.evaluate`."""

from __future__ import annotations

import os
from typing import Any


def run(
  workdir: str | os.PathLike,
  out: str | os.PathLike,
  *,
  config: Any = None,
  progress: bool = True,
  **flags: Any,
) -> dict[str, dict[str, Any]]:
  """Scores the network of a run on a labeled split; writes the results.

  >>> from uda_jax import evaluate
  >>> rows = evaluate.run('runs/first', 'scores', flip=True)  # doctest: +SKIP
  >>> print(rows['teacher']['miou'])  # doctest: +SKIP

  Args:
    workdir: the run's directory, or hf://OWNER/NAME.
    out: folder for results.json, .csv and .txt.
    config: a ConfigDict whose `eval` and `data` say what is scored and how;
      None: the run's own.
    progress: whether to log; warnings show in any case.
    **flags: further flags of the command by name: network, scales, flip.

  Returns:
    The reports by row, see `reports.report`.

  Raises:
    ValueError, OSError: in one line.
  """
  from uda_jax import calls
  from uda_jax import logs
  from uda_jax.evaluate import __main__ as command_line
  from uda_jax.runs import progress as progress_lib

  logs.quiet()
  args = calls.arguments(
    command_line.parser(), workdir=workdir, out=out, **flags
  )
  with progress_lib.log_lines(progress):
    return command_line.score(args, config)
