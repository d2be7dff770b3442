"""Converts PyTorch state dicts to variable trees and back.

A network's naming function gives the PyTorch name of each module; kind and
layout of a tensor follow from the array's name and rank:

  kernel [kh, kw, in, out]   weight [out, in, kh, kw]
  kernel [k, k, 1, C]        weight [C, 1, k, k]  (depthwise)
  kernel [in, out]           weight [out, in]
  kernel [2, 2, out, in]     weight [in, out, 2, 2]  (transposed)
  scale, bias                weight, bias  (batch norm)
  mean, var                  running_mean, running_var

Any other array keeps its name and layout (tokens, factors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import re

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax import types

# Returns the PyTorch name of a module's path, None if it is not in the file;
# asked for an array's path, None if that array alone is not.
NameOf = Callable[[tuple[str, ...]], str | None]

LEAVES = {
  'kernel': 'weight',
  'scale': 'weight',
  'bias': 'bias',
  'mean': 'running_mean',
  'var': 'running_var',
}
COUNTER = 'num_batches_tracked'
# Mismatches that an error lists.
_SHOWN = 6

# The blocks of a stage, as ResNets, MiT, other transformers and ConvNeXt name
# them.
_BLOCK = re.compile(r'(?:^|[._])((?:block|layer)\d|blocks|stages\.\d)\.(\d+)\.')


# Name, expected shape, shape in the file.
WrongShape = tuple[str, tuple[int, ...], tuple[int, ...]]


class MisfitError(ValueError):
  """Tensors do not fit a network.

  Attributes:
    wrong_shape: (name, expected shape, shape in the file) of each tensor.
    others: number of missing and unexpected tensors.
  """

  def __init__(
    self, message: str, wrong_shape: list[WrongShape], others: int
  ) -> None:
    super().__init__(message)
    self.wrong_shape = wrong_shape
    self.others = others


def dotted(path: tuple[str, ...]) -> str:
  """Returns the name of a module that has the same path in PyTorch."""
  return '.'.join(path)


def export(
  variables: types.Variables, name_of: NameOf = dotted
) -> dict[str, np.ndarray]:
  """Returns the PyTorch state dict of a network's variables."""
  tensors = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
    name = _tensor_name(path, name_of)
    if name is not None:
      tensors[name] = _to_torch(path, np.asarray(leaf))
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
    tensors: the state dict; batch norm's `num_batches_tracked` is ignored.
    like: variables of the network: names, shapes, dtypes, and the values of
      leaves that `name_of` leaves out.
    name_of: returns the PyTorch name of a module's path, None if the module is
      not in the file.
    source: the file's name, for the error.

  Raises:
    MisfitError: a tensor is missing, unexpected or has another shape.
    ValueError: the values of a tensor are no weights, see `_check_values`.
  """
  wrong: list[WrongShape] = []
  missing: list[str] = []
  used = set()

  def take(path, leaf):
    name = _tensor_name(path, name_of)
    if name is None:
      return leaf
    used.add(name)
    expected = _torch_shape(path, leaf.shape)
    if name not in tensors:
      missing.append(f'{name} {expected} is missing')
      return leaf
    if tensors[name].shape != expected:
      wrong.append((name, expected, tensors[name].shape))
      return leaf
    return jnp.asarray(_from_torch(path, tensors[name]), leaf.dtype)

  variables = jax.tree_util.tree_map_with_path(take, like)
  unexpected = [
    f'{name} {tensors[name].shape} is unexpected'
    for name in tensors
    if name not in used and not name.endswith(COUNTER)
  ]
  others = [*missing, *unexpected]
  if wrong or others:
    if len(missing) == len(used):
      message = (
        f'{source} is of another network: it has none of the {len(used)} '
        f'tensors that config.model takes, such as {min(used)}, but '
        f'{len(unexpected)} others, such as {min(tensors, default="none")}'
      )
    else:
      message = _misfit(source, used, tensors, wrong, others)
    raise MisfitError(message, wrong, len(others))
  for name in sorted(used):
    _check_values(f'{source}: {name}', tensors[name])
  return variables, len(used)


def _misfit(
  source: str,
  used: set[str],
  tensors: Mapping[str, np.ndarray],
  wrong: list[WrongShape],
  others: list[str],
) -> str:
  """Returns the message on a file of which some tensors do not fit."""
  shapes = [f'{n}: expected {a}, got {b}' for n, a, b in wrong]
  problems = [*shapes, *others]
  more = len(problems) - _SHOWN
  return (
    f'{source} does not fit the network: {len(problems)} tensors differ, '
    f'{len(used)} are expected: '
    + '; '.join([*_depth_mix_up(used, tensors), *problems[:_SHOWN]])
    + (f'; and {more} more' if more > 0 else '')
  )


def _check_values(name: str, x: np.ndarray) -> None:
  """Raises ValueError for integers, NaN and infinity."""
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(
      f'{name}: expected numbers of a floating-point type, got {x.dtype}; '
      'quantized files cannot be read'
    )
  # One number that is not finite makes the sum so, without a copy of them all.
  if not np.isfinite(np.sum(x, dtype=np.float64)):
    bad = x.size - np.isfinite(x.astype(np.float64)).sum()
    raise ValueError(
      f'{name}: expected finite numbers, got {bad} of {x.size} that are none; '
      'the training that wrote the file had diverged, or the file is damaged'
    )


def _depth_mix_up(
  expected: Iterable[str], found: Iterable[str]
) -> Iterator[str]:
  """Yields a problem if the file is of a deeper or shallower network."""
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
  # The first key is the field of Variables, the last the array's name.
  keys = tuple(key.key for key in path[1:])
  module = name_of(keys[:-1])
  if module is None or name_of(keys) is None:
    return None
  leaf = LEAVES.get(keys[-1], keys[-1])
  return f'{module}.{leaf}' if module else leaf


# From a kernel's axes to PyTorch's, and back, for the ranks in which they
# differ.
TO_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}
FROM_TORCH = {2: (1, 0), 4: (2, 3, 1, 0)}


def _axes(path, table: dict[int, tuple[int, ...]], rank: int):
  """Returns the axes of an array in the other layout."""
  if path[-1].key != 'kernel':
    return tuple(range(rank))
  return table.get(rank, tuple(range(rank)))


def _torch_shape(path, shape: tuple[int, ...]) -> tuple[int, ...]:
  return tuple(shape[axis] for axis in _axes(path, TO_TORCH, len(shape)))


def _to_torch(path, x: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(x.transpose(_axes(path, TO_TORCH, x.ndim)))


def _from_torch(path, x: np.ndarray) -> np.ndarray:
  return x.transpose(_axes(path, FROM_TORCH, x.ndim))
