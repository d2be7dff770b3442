"""Learning rates that fall from the last block of a transformer to the first.

BEiT (arXiv 2106.08254), VFM-UDA++.
"""

from __future__ import annotations

import re

import jax

from uda_jax import types
from uda_jax.train import patterns

PyTree = types.PyTree

_BLOCK = re.compile(r'(?P<encoder>(?:.*/)?)blocks/(?P<number>\d+)/')
# What stands before the first block, and the norm after the last, which the
# released code of VFM-UDA counts with it.
_STEM = re.compile(
  r'(?P<encoder>(?:.*/)?)'
  r'(?:cls_token|pos_embed|mask_token|register_tokens|patch_embed|norm)(?:/|$)'
)


def factors(params: PyTree, decay: float) -> PyTree:
  """Returns the factor of each parameter's learning rate.

  decay ** (depth - 1 - i) for block i, decay ** depth for tokens, position and
  patch embeddings and the norm after the blocks, 1 for everything else.

  Args:
    params: tree of parameters or of their shapes; blocks are
      '.../blocks/<number>/...'.
    decay: > 0; 1 = off.

  Raises:
    ValueError: `decay` is not 1 and there are no such blocks.
  """
  paths = patterns.path_tree(params)
  depth: dict[str, int] = {}
  for path in jax.tree.leaves(paths):
    if found := _BLOCK.match(path):
      number = int(found['number']) + 1
      depth[found['encoder']] = max(number, depth.get(found['encoder'], 0))
  if decay != 1 and not depth:
    raise ValueError(
      f'config.optim.layer_decay: got {decay}, expected 1, as the network has '
      "no parameters 'blocks/<number>/...' of a transformer"
    )

  def factor(path: str) -> float:
    if found := _BLOCK.match(path):
      return decay ** (depth[found['encoder']] - 1 - int(found['number']))
    found = _STEM.match(path)
    if found and found['encoder'] in depth:
      return decay ** depth[found['encoder']]
    return 1.0

  return jax.tree.map(factor, paths)
