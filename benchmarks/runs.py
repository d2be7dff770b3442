"""One run of one leaf, as the tables and the demo make it."""

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
    help='where the runs go, each in a folder of its own; default: runs',
  )


def one_run(
  benchmark: str,
  leaf: str,
  seed: int,
  *,
  root: str,
  workdir: pathlib.Path,
  changes: Mapping[str, Any] = {},
  name: str = '',
) -> Any:
  """Trains (or resumes) one leaf with one seed; returns `train.Result`.

  Args:
    benchmark: folder in configs/.
    leaf: its leaf.
    seed: `config.seed`.
    root: `config.data.root`.
    workdir: where the runs' directories go.
    changes: config field -> value, beyond those two.
    name: of the run's directory, if not the leaf's.
  """
  # TensorFlow and jax load only when a run starts, not for --help.
  from uda_jax.train import loop

  config = configs.load(f'{benchmark}/{leaf}')
  config.seed = seed
  config.data.root = root
  config.update_from_flattened_dict(changes)
  folder = workdir / benchmark / f'{name or leaf}_seed{seed}'
  return loop.run(config, str(folder))
