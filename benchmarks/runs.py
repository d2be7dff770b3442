"""One run of one leaf, as the tables and the demo make it."""

from __future__ import annotations

import importlib
import pathlib
from typing import Any


def one_run(benchmark: str, leaf: str, seed: int, *, root: str,
            workdir: pathlib.Path) -> Any:
  """Trains (or resumes) one leaf with one seed; returns `train.Result`."""
  # TensorFlow and jax load only when a run starts, not for --help.
  from uda_jax import train
  config = importlib.import_module(f'configs.{benchmark}.{leaf}').get_config()
  config.seed = seed
  config.data.root = root
  return train.run(config, str(workdir / benchmark / f'{leaf}_seed{seed}'))
