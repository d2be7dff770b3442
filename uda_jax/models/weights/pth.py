"""Reads PyTorch's weight files without PyTorch, executing nothing.

Two formats: a zip archive (PyTorch 1.6 and later) with `data.pkl` and one
member for each storage, and the older one, five pickles followed by the
storages. See `restricted_pickle` for the allowed contents of a pickle.
"""

from __future__ import annotations

from collections.abc import Callable
import io
import os
import pathlib
import struct
from typing import BinaryIO
import zipfile

import numpy as np

from uda_jax.models.weights import restricted_pickle
from uda_jax.models.weights import torch_pickle

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
# Bytes of a zip archive's list of members, some 60 a tensor.
MAX_DIRECTORY = 1 << 23
# Errors of zipfile and NumPy for damaged or hostile files.
_FILE_ERRORS = (
  ValueError,
  OverflowError,
  RuntimeError,
  EOFError,
  OSError,
  struct.error,
  zipfile.BadZipFile,
)


def is_zip(head: bytes) -> bool:
  """Returns whether first bytes are those of a zip archive."""
  return head.startswith(b'PK\x03\x04')


def is_legacy(head: bytes) -> bool:
  """Returns whether first bytes are those of the older format."""
  magic = LEGACY_MAGIC.to_bytes(10, 'little')
  return head[:2] == b'\x80\x02' and head[2:].startswith(b'\x8a\x0a' + magic)


def read_zip(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of a zip file (PyTorch 1.6 and later) by name.

  Names inside nested dictionaries are joined by '/'; other values than
  tensors are left out. The arrays are read-only views of the storages.
  """
  return _named_errors(path, _read_zip)


def read_legacy(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of a file of the format before PyTorch 1.6.

  As `read_zip`.
  """
  return _named_errors(path, _read_legacy)


def _named_errors(path: pathlib.Path, reader: Callable) -> dict:
  try:
    return reader(path)
  except _FILE_ERRORS as error:
    raise ValueError(f'{path}: {error}') from error


def _read_zip(path: pathlib.Path) -> dict[str, np.ndarray]:
  _check_directory(path)
  with zipfile.ZipFile(path) as archive:
    members = {info.filename: info for info in archive.infolist()}
    if len(members) < len(archive.infolist()):
      raise ValueError('two members of one name; the file is damaged')
    pickles = [name for name in members if name.endswith('/data.pkl')]
    if len(pickles) != 1:
      raise ValueError(
        f'expected one member */data.pkl of a PyTorch file, got {len(pickles)}'
      )
    root = pickles[0].removesuffix('data.pkl')

    def member(name: str) -> zipfile.ZipInfo:
      if root + name not in members:
        raise ValueError(f'no member {root}{name}')
      info = members[root + name]
      if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f'{root}{name} is compressed; PyTorch stores it')
      # `zipfile` allocates the stated size of compressed members.
      if info.compress_size != info.file_size:
        raise ValueError(f'{root}{name} has two sizes in the archive')
      return info

    if root + 'byteorder' in members:
      with archive.open(member('byteorder')) as file:
        order = file.read(16)
      if order != b'little':
        raise ValueError(f'byte order {order!r}: only little is read')
    # zipfile verifies the checksum when a member's end is read.
    pickled = _whole(archive, member('data.pkl'))
    window = restricted_pickle.Window(io.BytesIO(pickled), len(pickled))
    content, storages = torch_pickle.load(window)
    _check_total(storages, path)
    tensors = torch_pickle.flatten(content)
    arrays = {}
    for key in {tensor.storage.key for tensor in tensors.values()}:
      info, expected = member(f'data/{key}'), storages[key].num_bytes
      if info.file_size != expected:
        raise ValueError(
          f'{info.filename}: expected {expected} bytes, got {info.file_size}'
        )
      arrays[key] = np.frombuffer(archive.read(info), storages[key].dtype)
  return _views(tensors, arrays)


def _whole(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
  if info.file_size > restricted_pickle.MAX_BYTES:
    raise ValueError(f'{info.filename} has {info.file_size} bytes; refused')
  return archive.read(info)


def _check_directory(path: pathlib.Path) -> None:
  """Raises ValueError for a list of members too large for the memory.

  `zipfile` reads all of it; it stands before the last 22 bytes, and before 76
  more in files that may be large.
  """
  with path.open('rb') as file:
    file.seek(max(0, os.path.getsize(path) - 98))
    tail = file.read(98)
  size = int.from_bytes(tail[-10:-6], 'little')
  if len(tail) == 98 and tail.startswith(b'PK\x06\x06'):
    size = int.from_bytes(tail[40:48], 'little')
  if not tail[-22:].startswith(b'PK\x05\x06') or size > MAX_DIRECTORY:
    raise ValueError(
      'the zip archive does not end as those of PyTorch; the file is '
      'incomplete, download it again'
    )


def _read_legacy(path: pathlib.Path) -> dict[str, np.ndarray]:
  with path.open('rb') as file:
    window = restricted_pickle.Window(file, os.path.getsize(path))
    magic, protocol, system = (torch_pickle.load(window)[0] for _ in range(3))
    content, storages = torch_pickle.load(window)
    tensors = torch_pickle.flatten(content)
    keys, _ = torch_pickle.load(window)
    if magic != LEGACY_MAGIC or protocol != LEGACY_PROTOCOL:
      raise ValueError('unknown magic number or protocol')
    if not (isinstance(system, dict) and system.get('little_endian') is True):
      raise ValueError('not written on a little-endian machine')
    if not isinstance(keys, list) or not all(type(k) is str for k in keys):
      raise ValueError('malformed list of storages')
    if sorted(keys) != sorted(storages):
      raise ValueError('the storages are not those of the tensors')
    _check_total(storages, path)
    used = {tensor.storage.key for tensor in tensors.values()}
    # All have to be passed, those of no tensor in a dictionary too.
    arrays = {key: _legacy_storage(file, storages[key]) for key in keys}
  return _views(tensors, {key: arrays[key] for key in used})


def _legacy_storage(
  file: BinaryIO, storage: torch_pickle.Storage
) -> np.ndarray:
  count = int.from_bytes(file.read(8), 'little')
  if count != storage.size:
    raise ValueError(
      f'storage {storage.key}: expected {storage.size} elements, got {count}'
    )
  data = file.read(storage.num_bytes)
  if len(data) != storage.num_bytes:
    raise ValueError(
      f'storage {storage.key}: expected {storage.num_bytes} bytes, the file '
      f'ends after {len(data)}; download it again'
    )
  return np.frombuffer(data, storage.dtype)


def _check_total(
  storages: dict[str, torch_pickle.Storage], path: pathlib.Path
) -> None:
  total = sum(storage.num_bytes for storage in storages.values())
  size = os.path.getsize(path)
  if total > size:
    raise ValueError(f'{total} bytes of tensors in a file of {size} bytes')


def _views(
  tensors: dict[str, torch_pickle.Tensor], arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  return {
    name: torch_pickle.view(name, tensor, arrays[tensor.storage.key])
    for name, tensor in tensors.items()
  }
