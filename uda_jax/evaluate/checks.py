"""Validates the `eval` block of a config; needs no TensorFlow."""

from __future__ import annotations

import ml_collections

from uda_jax.data import checks as data_checks
from uda_jax.data import records
from uda_jax.evaluate import protocol
from uda_jax.evaluate import tta


def check(config: ml_collections.ConfigDict) -> None:
  """Raises ValueError, in one line, for an evaluation that cannot be run.

  Args:
    config: the whole config of a run: `eval`, and what it needs of `data`,
      `teacher` and `rounds`.
  """
  block = config.eval
  networks = ('student', 'teacher') if config.teacher.use else ('student',)
  if block.network not in networks:
    off = '' if config.teacher.use else ' (config.teacher.use is off)'
    raise ValueError(
      f'config.eval.network: expected {" or ".join(map(repr, networks))}{off}, '
      f'got {block.network!r}'
    )
  if block.checkpoint not in ('last', 'best'):
    raise ValueError(
      "config.eval.checkpoint: expected 'last' or 'best', got "
      f'{block.checkpoint!r}'
    )
  if block.patience and not (block.every and config.rounds is None):
    found = 'rounds' if block.every else 'config.eval.every 0'
    raise ValueError(
      'config.eval.patience: expected 0 (train to the end) without evaluations '
      f'during training, and in rounds, got {block.patience} with {found}'
    )
  tta.check(block.scales)
  protocol.check(block)
  for name in ('label_size', 'window', 'stride'):
    data_checks.check_size(
      block[name], f'config.eval.{name}', shorter_side=name == 'label_size'
    )
  if any(block.window) and not any(block.stride):
    raise ValueError(
      'config.eval.stride: expected the steps of the sliding window '
      f'{tuple(block.window)}, down and right, got {tuple(block.stride)}'
    )
  protocol.configured(block)
  classes = records.class_names(config.data, 'evaluation')
  for name, ids in block.subsets.items():
    known = ids and all(i in range(len(classes)) for i in ids)
    if not known or len(set(ids)) < len(ids):
      raise ValueError(
        f'config.eval.subsets[{name!r}]: expected classes 0 to '
        f'{len(classes) - 1}, each once, got {ids}'
      )
