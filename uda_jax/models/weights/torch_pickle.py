"""Tensor descriptions in PyTorch's pickles, before their data is read."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import ml_dtypes
import numpy as np

from uda_jax.models.weights import restricted_pickle

STORAGES = {
  'DoubleStorage': np.dtype('<f8'),
  'FloatStorage': np.dtype('<f4'),
  'HalfStorage': np.dtype('<f2'),
  'BFloat16Storage': np.dtype(ml_dtypes.bfloat16),
  'LongStorage': np.dtype('<i8'),
  'IntStorage': np.dtype('<i4'),
  'ShortStorage': np.dtype('<i2'),
  'CharStorage': np.dtype('i1'),
  'ByteStorage': np.dtype('u1'),
  'BoolStorage': np.dtype('?'),
}
# The first takes what the second does less the last arguments (PyTorch 0.3
# and before); a parameter is a tensor with a flag.
REBUILD = ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter')
# NumPy's scalars, which training scripts put beside the weights as scores;
# `_codecs` wraps their bytes. None of it is looked up.
IGNORED = frozenset(
  {
    'numpy.core.multiarray.scalar',
    'numpy._core.multiarray.scalar',
    'numpy.dtype',
    '_codecs.encode',
  }
)
# Argument of `_rebuild_tensor_v2` that says, of a few views, to negate all.
_METADATA = 6
# Dictionaries in dictionaries.
MAX_DEPTH = 8


@dataclasses.dataclass(frozen=True)
class Storage:
  """A flat array of the file, by key."""

  key: str
  dtype: np.dtype
  size: int

  @property
  def num_bytes(self) -> int:
    """Bytes of its data."""
    return self.size * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A view of a storage; offset and strides count elements."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def load(
  window: restricted_pickle.Window,
) -> tuple[Any, dict[str, Storage]]:
  """Returns the value of the next pickle and all storages it mentions."""
  storages: dict[str, Storage] = {}

  def persistent(pid: Any) -> Storage:
    storage = _storage(pid)
    if storages.setdefault(storage.key, storage) != storage:
      raise ValueError(f'two descriptions of storage {storage.key}')
    return storage

  rules = restricted_pickle.Rules(_allows, _rebuild, persistent)
  return restricted_pickle.load(window, rules), storages


def flatten(content: Any) -> dict[str, Tensor]:
  """Returns the tensors of nested dictionaries, names joined by '/'."""
  if not isinstance(content, dict):
    raise ValueError(
      f'expected a dictionary of tensors, got {type(content).__name__}'
    )
  tensors, seen, todo = {}, {id(content)}, [('', content, 1)]
  while todo:
    prefix, mapping, depth = todo.pop()
    if depth > MAX_DEPTH:
      raise ValueError(f'dictionaries nested more than {MAX_DEPTH} deep')
    for key, value in mapping.items():
      name = f'{prefix}{key}'
      if name in tensors:
        raise ValueError(f'{name}: two tensors have this name')
      if isinstance(value, Tensor):
        tensors[name] = value
      elif isinstance(value, dict):
        # A file could nest a dictionary in itself or repeat it without end.
        if id(value) in seen:
          raise ValueError(f'{name}: a dictionary occurs twice')
        seen.add(id(value))
        todo.append((name + '/', value, depth + 1))
  return tensors


def view(name: str, tensor: Tensor, array: np.ndarray) -> np.ndarray:
  """Returns a tensor as a read-only view of its storage's data."""
  count = math.prod(tensor.shape)
  last = tensor.offset + sum(
    (n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides)
  )
  # The first test also refuses expanded tensors, whose copies could be huge.
  if count > array.size or (count and last >= array.size):
    raise ValueError(
      f'{name}: shape {tensor.shape}, strides {tensor.strides} and offset '
      f'{tensor.offset} exceed a storage of {array.size} elements'
    )
  if not count:
    return np.zeros(tensor.shape, array.dtype)
  return np.lib.stride_tricks.as_strided(
    array[tensor.offset :],
    tensor.shape,
    [stride * array.itemsize for stride in tensor.strides],
    writeable=False,
  )


def _allows(name: restricted_pickle.Name) -> bool:
  return (
    (name.module == 'torch' and name.name in STORAGES)
    or (name.module == 'torch._utils' and name.name in REBUILD)
    or str(name) in IGNORED
  )


def _rebuild(
  name: restricted_pickle.Name, args: tuple
) -> Tensor | restricted_pickle.Opaque:
  if str(name) in IGNORED:
    return restricted_pickle.Opaque()
  if name.name == '_rebuild_parameter':
    if not (args and isinstance(args[0], Tensor)):
      raise ValueError('malformed parameter')
    return args[0]
  if name.name not in REBUILD or len(args) < 4:
    raise ValueError(f'malformed call of {name}')
  storage, offset, shape, strides = args[:4]
  if not (
    isinstance(storage, Storage)
    and _counts([offset])
    and isinstance(shape, tuple)
    and isinstance(strides, tuple)
    and len(shape) == len(strides) <= 8
    and _counts(shape)
    and _counts(strides)
  ):
    raise ValueError('malformed tensor (storage, offset, shape or strides)')
  if len(args) > _METADATA and args[_METADATA]:
    raise ValueError('a tensor whose signs are kept apart is not supported')
  return Tensor(storage, offset, shape, strides)


def _storage(pid: Any) -> Storage:
  if not (isinstance(pid, tuple) and len(pid) in (5, 6)):
    raise ValueError('malformed persistent id')
  tag, kind, key, _, size = pid[:5]
  if not (
    tag == 'storage'
    and isinstance(kind, restricted_pickle.Name)
    and kind.name in STORAGES
    and isinstance(key, str)
    and _counts([size])
  ):
    raise ValueError('malformed persistent id of a storage')
  if len(pid) == 6 and pid[5] is not None:
    raise ValueError('a storage that is part of another one is not supported')
  return Storage(key, STORAGES[kind.name], size)


def _counts(values) -> bool:
  return all(type(v) is int and v >= 0 for v in values)
