"""Reads PyTorch's weight files without PyTorch, executing nothing.

Two formats: a zip archive (PyTorch 1.6 and later) with `data.pkl` and one
member for each storage, and the older one, five pickles followed by the
storages. See `restricted_pickle` for what a pickle may contain.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os
import pathlib
from typing import Any
import zipfile
import zlib

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
# What zipfile, zlib and NumPy raise on damaged or hostile files.
_FILE_ERRORS = (
    ValueError,
    OverflowError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


@dataclasses.dataclass(frozen=True)
class Storage:
  """A flat array of the file, by key."""

  key: str
  dtype: np.dtype
  size: int


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A view of a storage; offset and strides count elements."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def is_zip(head: bytes) -> bool:
  """Tells whether a file of these first bytes is a zip archive."""
  return head.startswith(b'PK\x03\x04')


def is_legacy(head: bytes) -> bool:
  """Tells whether a file of these first bytes is of the older format."""
  magic = LEGACY_MAGIC.to_bytes(10, 'little')
  return head[:2] == b'\x80\x02' and head[2:].startswith(b'\x8a\x0a' + magic)


def read_zip(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of a zip file (PyTorch 1.6 and later) by name.

  Names inside nested dictionaries are joined by '/'; other values than
  tensors are left out. The arrays are read-only views of the storages.
  """
  return _told_of(path, _read_zip)


def read_legacy(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of a file of the format before PyTorch 1.6.

  As `read_zip`.
  """
  return _told_of(path, _read_legacy)


def _told_of(path: pathlib.Path, reader: Callable) -> dict[str, np.ndarray]:
  try:
    return reader(path)
  except _FILE_ERRORS as error:
    raise ValueError(f'{path}: {error}') from error


def _read_zip(path: pathlib.Path) -> dict[str, np.ndarray]:
  with zipfile.ZipFile(path) as archive:
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise ValueError(
          f'expected one member */data.pkl of a PyTorch file, got {pickles}'
      )
    root = pickles[0].removesuffix('data.pkl')
    if root + 'byteorder' in members:
      with archive.open(root + 'byteorder') as file:
        order = file.read(16)
      if order != b'little':
        raise ValueError(f'byte order {order!r}: only b"little" is read')
    info = members[pickles[0]]
    with archive.open(info) as file:
      window = restricted_pickle.Window(file, info.file_size)
      tensors = _flatten(restricted_pickle.load(window, RULES))
    storages = _storages(tensors)
    _check_total(storages, path)
    arrays = {}
    for key, storage in storages.items():
      name = f'{root}data/{key}'
      expected = storage.size * storage.dtype.itemsize
      if name not in members:
        raise ValueError(f'no member {name}')
      info = members[name]
      if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f'{name} is compressed; PyTorch stores it plain')
      if info.file_size != expected:
        raise ValueError(
            f'{name}: expected {expected} bytes, got {info.file_size}'
        )
      arrays[key] = np.frombuffer(archive.read(info), storage.dtype)
  return {name: _view(name, t, arrays) for name, t in tensors.items()}


def _read_legacy(path: pathlib.Path) -> dict[str, np.ndarray]:
  size = os.path.getsize(path)
  with path.open('rb') as file:
    window = restricted_pickle.Window(file, size)
    magic, protocol, system, content, keys = (
        restricted_pickle.load(window, RULES) for _ in range(5)
    )
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL:
      raise ValueError('unknown magic number or protocol')
    if not (isinstance(system, dict) and system.get('little_endian') is True):
      raise ValueError('not written on a little-endian machine')
    tensors = _flatten(content)
    storages = _storages(tensors)
    _check_total(storages, path)
    if not isinstance(keys, list) or not all(type(k) is str for k in keys):
      raise ValueError('malformed list of storages')
    arrays = {}
    for key in keys:
      count = int.from_bytes(file.read(8), 'little')
      if key not in storages or key in arrays:
        raise ValueError(f'storage {key!r} belongs to no tensor')
      storage = storages[key]
      if count != storage.size:
        raise ValueError(
            f'storage {key}: expected {storage.size} elements, got {count}'
        )
      expected = count * storage.dtype.itemsize
      data = file.read(expected)
      if len(data) != expected:
        raise ValueError(
            f'storage {key}: expected {expected} bytes, the file ends after '
            f'{len(data)}'
        )
      arrays[key] = np.frombuffer(data, storage.dtype)
  missing = sorted(storages.keys() - arrays.keys())
  if missing:
    raise ValueError(f'storages {missing} are not in the file')
  return {name: _view(name, t, arrays) for name, t in tensors.items()}


def _allows(name: restricted_pickle.Name) -> bool:
  return (name.module == 'torch' and name.name in STORAGES) or (
      name.module == 'torch._utils' and name.name in REBUILD
  )


def _call(name: restricted_pickle.Name, args: tuple) -> Tensor:
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
  return Tensor(storage, offset, shape, strides)


def _persistent(pid: Any) -> Storage:
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


RULES = restricted_pickle.Rules(_allows, _call, _persistent)


def _counts(values) -> bool:
  return all(type(v) is int and v >= 0 for v in values)


def _flatten(content: Any) -> dict[str, Tensor]:
  """Returns the tensors of nested dictionaries, names joined by '/'."""
  if not isinstance(content, dict):
    raise ValueError(
        f'expected a dictionary of tensors, got {type(content).__name__}'
    )
  tensors, seen, todo = {}, {id(content)}, [('', content)]
  while todo:
    prefix, mapping = todo.pop()
    for key, value in mapping.items():
      name = f'{prefix}{key}'
      if isinstance(value, Tensor):
        tensors[name] = value
      elif isinstance(value, dict):
        # A file could nest a dictionary in itself or repeat it without end.
        if id(value) in seen:
          raise ValueError(f'{name}: a dictionary occurs twice')
        seen.add(id(value))
        todo.append((name + '/', value))
  return tensors


def _storages(tensors: dict[str, Tensor]) -> dict[str, Storage]:
  storages: dict[str, Storage] = {}
  for name, tensor in tensors.items():
    known = storages.setdefault(tensor.storage.key, tensor.storage)
    if known != tensor.storage:
      raise ValueError(f'{name}: two descriptions of storage {known.key}')
  return storages


def _check_total(storages: dict[str, Storage], path: pathlib.Path) -> None:
  total = sum(s.size * s.dtype.itemsize for s in storages.values())
  size = os.path.getsize(path)
  if total > size:
    raise ValueError(f'{total} bytes of tensors in a file of {size} bytes')


def _view(
    name: str, tensor: Tensor, arrays: dict[str, np.ndarray]
) -> np.ndarray:
  array = arrays[tensor.storage.key]
  count = 1
  for n in tensor.shape:
    count *= n
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
