"""Between PyTorch state dicts and our variable trees.

A network tells by a naming function how its modules are called in PyTorch;
kinds and layouts of tensors follow from the leaf's name and rank:

  kernel [kh, kw, in, out]   weight [out, in, kh, kw]
  kernel [k, k, 1, C]        weight [C, 1, k, k]  (depthwise)
  kernel [in, out]           weight [out, in]
  scale, bias                weight, bias  (batch norm)
  mean, var                  running_mean, running_var

Any other leaf has its own name and layout there (tokens, factors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import re

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import types

# From a module's path to its name in PyTorch; None: not in the file.
NameOf = Callable[[tuple[str, ...]], str | None]

LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}
COUNTER = 'num_batches_tracked'

# The blocks of a stage, as ResNets, MiT and other transformers name them.
_BLOCK = re.compile(r'(?:^|[._])((?:block|layer)\d|blocks)\.(\d+)\.')


def dotted(path: tuple[str, ...]) -> str:
  """The naming function of a network whose modules are named as PyTorch's."""
  return '.'.join(path)


def export(
  variables: types.Variables, name_of: NameOf = dotted
) -> dict[str, np.ndarray]:
  """Returns the PyTorch state dict of a network's variables."""
  tensors = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    name = _tensor_name(path, name_of)
    if name is not None:
      tensors[name] = _to_torch(np.asarray(leaf))
  return tensors


def load(
  tensors: Mapping[str, np.ndarray],
  like: types.Variables,
  name_of: NameOf = dotted,
  *,
  source: str = 'state dict',
) -> tuple[types.Variables, int]:
  """Returns a network's variables from a PyTorch state dict, and their number.

  Args:
    tensors: the state dict; BN's `num_batches_tracked` is ignored.
    like: variables of the network; tells names, shapes and dtypes, and gives
      the values of leaves that `name_of` leaves out.
    name_of: from a module's path to its PyTorch name, None if it is none of
      the file's.
    source: the file's name, for the error.

  Raises:
    ValueError: with every missing, unexpected and mis-shaped tensor.
  """
  problems, used = [], set()

  def take(path, leaf):
    name = _tensor_name(path, name_of)
    if name is None:
      return leaf
    used.add(name)
    expected = _torch_shape(leaf.shape)
    if name not in tensors:
      problems.append(f'missing: {name} {expected}')
      return leaf
    if tensors[name].shape != expected:
      problems.append(
        f'wrong shape: {name} expected {expected}, got {tensors[name].shape}'
      )
      return leaf
    return jnp.asarray(_from_torch(tensors[name]), leaf.dtype)

  variables = jax.tree_util.tree_map_with_path(take, like)
  problems += [
    f'unexpected: {name} {tensors[name].shape}'
    for name in tensors
    if name not in used and not name.endswith(COUNTER)
  ]
  if problems:
    raise ValueError(
      f'{source} does not fit the network ({len(problems)} problems, '
      f'{len(used)} tensors expected):\n  '
      + '\n  '.join([*_depth_mix_up(used, tensors), *problems])
    )
  return variables, len(used)


def _depth_mix_up(
  expected: Iterable[str], found: Iterable[str]
) -> Iterator[str]:
  """Yields a line where a file is that of a deeper or shallower network."""
  ours, theirs = _num_blocks(expected), _num_blocks(found)
  if ours and theirs and ours != theirs:
    yield (
      f'another depth: expected stages of {_joined(ours)} blocks, got '
      f'{_joined(theirs)}'
    )


def _num_blocks(names: Iterable[str]) -> dict[str, int]:
  blocks: dict[str, set[str]] = {}
  for name in names:
    if match := _BLOCK.search(name):
      blocks.setdefault(match[1], set()).add(match[2])
  return {stage: len(numbers) for stage, numbers in sorted(blocks.items())}


def _joined(depths: dict[str, int]) -> str:
  return ', '.join(map(str, depths.values()))


def _tensor_name(path, name_of: NameOf) -> str | None:
  # The first key is the field of Variables, the last the leaf.
  keys = tuple(key.key for key in path[1:])
  module = name_of(keys[:-1])
  if module is None:
    return None
  leaf = LEAVES.get(keys[-1], keys[-1])
  return f'{module}.{leaf}' if module else leaf


# From our axes to PyTorch's, and back, for the ranks in which they differ.
TO_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}
FROM_TORCH = {2: (1, 0), 4: (2, 3, 1, 0)}


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
  axes = TO_TORCH.get(len(shape), range(len(shape)))
  return tuple(shape[axis] for axis in axes)


def _to_torch(x: np.ndarray) -> np.ndarray:
  axes = TO_TORCH.get(x.ndim)
  return x if axes is None else np.ascontiguousarray(x.transpose(axes))


def _from_torch(x: np.ndarray) -> np.ndarray:
  axes = FROM_TORCH.get(x.ndim)
  return x if axes is None else x.transpose(axes)
