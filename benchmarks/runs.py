"""One run of one config, for the tables and the demo."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import pathlib
from typing import Any

from uda_jax import configs


def add_flags(group: argparse._ArgumentGroup) -> None:
  """Adds `--benchmark`, `--root` and `--workdir`."""
  group.add_argument(
    '--benchmark',
    default='streets',
    metavar='NAME',
    help='a folder in configs/; default: streets',
  )
  group.add_argument(
    '--root', default='', metavar='DIR', help='config.data.root of real images'
  )
  group.add_argument(
    '--workdir',
    type=pathlib.Path,
    default=pathlib.Path('runs'),
    metavar='DIR',
    help='parent folder of the runs; default: runs',
  )


def one_run(
  benchmark: str,
  config_name: str,
  seed: int,
  *,
  root: str,
  workdir: pathlib.Path,
  changes: Mapping[str, Any] = {},
  name: str = '',
) -> Any:
  """Trains (or resumes) one config with one seed; returns `train.Result`.

  Args:
    benchmark: folder in configs/.
    config_name: file in that folder, without ending.
    seed: `config.seed`.
    root: `config.data.root`.
    workdir: parent of the runs' directories.
    changes: config field -> value, beyond those two.
    name: of the run's directory; '' = `config_name`.
  """
  # TensorFlow and jax load only when a run starts, not for --help.
  from uda_jax.train import loop

  config = configs.load(f'{benchmark}/{config_name}')
  config.seed = seed
  config.data.root = root
  config.update_from_flattened_dict(changes)
  folder = workdir / benchmark / f'{name or config_name}_seed{seed}'
  return loop.run(config, str(folder))
