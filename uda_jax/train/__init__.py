"""Training: the loop, the train step and what they are set up from."""

from __future__ import annotations

import os
from typing import Any


def run(config: Any, workdir: str | os.PathLike) -> Any:
  """Trains from scratch or from the latest checkpoint; returns the results.

  Imports the loop, and with it TensorFlow, only when called.

  Args:
    config: a leaf's ConfigDict, see `configs/`.
    workdir: the run's directory.

  Returns:
    A `uda_jax.train.loop.Result`.
  """
  from uda_jax.train import loop

  return loop.run(config, workdir)
