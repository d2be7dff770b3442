"""The config that a run is scored with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import ml_collections

from uda_jax import configs
from uda_jax.configs import overrides
from uda_jax.evaluate import checks
from uda_jax.runs import restore

# What scoring reads of a config. The rest is that of the training.
_SCORING = (
  'align_corners',
  'batch_size',
  'enlarge',
  'flip',
  'label_size',
  'one_step',
  'scales',
  'stride',
  'subsets',
  'window',
)
_READ = ('data', 'devices', 'compile_cache', *(f'eval.{n}' for n in _SCORING))


def read(args: argparse.Namespace) -> ml_collections.ConfigDict:
  """Returns the config of a run, or the one named instead, with overrides.

  Args:
    args: of `uda_jax.evaluate.__main__`: `workdir`, `config`, `overrides`,
      `scales`, `flip`.

  Raises:
    ValueError: its `eval` or `data.evaluation` cannot be used, or an override
      would change nothing.
  """
  if args.config:
    config = configs.load(args.config)
  else:
    config = restore.read_config(args.workdir)
  config = overrides.apply(config, args.overrides)
  _check_read(args.overrides)
  if args.scales:
    config.eval.scales = args.scales
  config.eval.flip = args.flip or config.eval.flip
  checks.check(config)
  return config


def _check_read(options: Sequence[str]) -> None:
  """Raises ValueError for an override that scoring does not read."""
  for option in options:
    field = option.partition('=')[0].partition('.')[2]
    if not f'{field}.'.startswith(tuple(f'{name}.' for name in _READ)):
      raise ValueError(
        f'config.{field}: expected a field that scoring reads '
        f'({", ".join(_READ)}); the network is that of --workdir, '
        'and --network says which one of it'
      )
