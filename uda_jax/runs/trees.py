"""Trees of stored arrays: which arrays, of which shapes, and parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Set
import pathlib
from typing import Any

import jax
import jax.numpy as jnp


def pruned(
  tree: Mapping[str, Any],
  new: Set[tuple[str, ...]],
  path: tuple[str, ...] = (),
) -> dict[str, Any]:
  """Returns nested dicts without the arrays of some modules.

  Args:
    tree: 'params' and 'batch_stats' at the top.
    new: paths of the modules, below those two.
    path: of `tree`.
  """
  kept: dict[str, Any] = {}
  for name, value in tree.items():
    if not isinstance(value, Mapping):
      if path[1:] not in new:
        kept[name] = value
      continue
    below = pruned(value, new, (*path, name))
    if below or not value:
      kept[name] = below
  return kept


def filled(tree: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
  """Returns nested dicts with the arrays of `like` where `tree` lacks them."""
  return {
    name: filled(tree.get(name, {}), value)
    if isinstance(value, Mapping)
    else tree.get(name, value)
    for name, value in like.items()
  }


def _shapes(tree: Any) -> dict[str, str]:
  """Returns dtypes and shapes by path, independent of container types."""
  name = lambda path: '/'.join(
    str(getattr(k, 'key', getattr(k, 'name', getattr(k, 'idx', k))))
    for k in path
  )

  def kind(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # stored as its data
      leaf = jax.eval_shape(jax.random.key_data, leaf)
    return f'{leaf.dtype}{list(leaf.shape)}'

  return {
    name(path): kind(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def check_same(
  found: Any, like: Any, folder: pathlib.Path, way_out: str
) -> None:
  """Raises ValueError unless a checkpoint has the expected tensors.

  Args:
    found: arrays or their shapes.
    like: likewise.
    folder: of the checkpoint, for the message.
    way_out: the end of the message.
  """
  have, want = _shapes(found), _shapes(like)
  names = sorted(have.keys() | want.keys())
  wrong = [
    f'{name}: expected {want.get(name, "nothing")}, got '
    f'{have.get(name, "nothing")}'
    for name in names
    if have.get(name) != want.get(name)
  ]
  if not wrong:
    return
  shown = wrong[:8] + ([f'and {len(wrong) - 8} more'] if wrong[8:] else [])
  raise ValueError(
    f'{folder}: expected a checkpoint of the configured network and method, '
    f'but {len(wrong)} of {len(names)} tensors differ: '
    + f'{"; ".join(shown)}. {way_out}'
  )
