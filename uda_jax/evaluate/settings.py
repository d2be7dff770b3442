"""The config that a run is scored with."""

from __future__ import annotations

import argparse

import ml_collections

from uda_jax import configs
from uda_jax.configs import overrides
from uda_jax.evaluate import checks
from uda_jax.runs import restore


def read(args: argparse.Namespace) -> ml_collections.ConfigDict:
  """Returns the config of a run, or the one named instead, with overrides.

  Args:
    args: of `uda_jax.evaluate.__main__`: `workdir`, `config`, `overrides`,
      `scales`, `flip`.

  Raises:
    ValueError: its `eval` or `data.evaluation` cannot be used.
  """
  if args.config:
    config = configs.load(args.config)
  else:
    config = restore.read_config(args.workdir)
  config = overrides.apply(config, args.overrides)
  if args.scales:
    config.eval.scales = args.scales
  config.eval.flip = args.flip or config.eval.flip
  checks.check(config)
  return config
