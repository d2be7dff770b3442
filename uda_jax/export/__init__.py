"""Networks for other runtimes; `python -m uda_jax.export`."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any


def run(
  workdir: str | os.PathLike, out: str | os.PathLike, **flags: Any
) -> dict[str, Any]:
  """Writes the network of a run as StableHLO, and ONNX, as the command does.

  >>> from uda_jax import export
  >>> about = export.run('runs/first', 'exported', size='96x192')
  ... # doctest: +SKIP

  Args:
    workdir: the run's directory, or hf://OWNER/NAME.
    out: folder for the files.
    **flags: further flags of the command by name: network, size, batch_size,
      onnx.

  Returns:
    The contents of network.json.

  Raises:
    ValueError, OSError: in one line.
  """
  from uda_jax import calls
  from uda_jax.export import __main__ as command_line
  from uda_jax.export import command

  args = calls.arguments(
    command_line.parser(), workdir=workdir, out=out, **flags
  )
  command.run(args)
  return json.loads((pathlib.Path(args.out) / 'network.json').read_text())
