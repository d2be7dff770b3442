"""Reads and writes safetensors: a JSON header and raw little-endian data."""

from __future__ import annotations

from collections.abc import Mapping
import json
import math
import pathlib
from typing import Any

import ml_dtypes
import numpy as np

from uda_jax import files
from uda_jax.models.weights import placeholders

DTYPES = {
  'F64': np.dtype('<f8'),
  'F32': np.dtype('<f4'),
  'F16': np.dtype('<f2'),
  'BF16': np.dtype(ml_dtypes.bfloat16),
  'I64': np.dtype('<i8'),
  'I32': np.dtype('<i4'),
  'I16': np.dtype('<i2'),
  'I8': np.dtype('i1'),
  'U8': np.dtype('u1'),
  'BOOL': np.dtype('?'),
}
# About 150 bytes a tensor; bounds the memory of the parsed header.
MAX_HEADER = 1 << 24
MAX_RANK = 8


# dtype, shape, first byte, byte after the last
Entry = tuple[np.dtype, tuple[int, ...], int, int]


def matches(head: bytes) -> bool:
  """Returns whether first bytes may be those of a safetensors file."""
  return len(head) > 8 and head[8:9] == b'{'


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Returns the tensors of a file by name, as read-only arrays."""
  content = path.read_bytes()
  placeholders.check(path, content[: placeholders.HEAD])
  try:
    return _parsed(content)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{path}: {error}') from error


def _parsed(content: bytes) -> dict[str, np.ndarray]:
  length = int.from_bytes(content[:8], 'little')
  if length > min(MAX_HEADER, len(content) - 8):
    raise ValueError(
      f'header of {length} bytes in {len(content)} bytes; the file is damaged '
      'or incomplete, download it again'
    )
  # UTF-8 alone; of bytes, `json` would guess.
  header = json.loads(content[8 : 8 + length].decode())
  if not isinstance(header, dict):
    raise ValueError('the header is not a JSON object')
  data = memoryview(content)[8 + length :]
  header.pop('__metadata__', None)
  entries = {name: _entry(name, entry) for name, entry in header.items()}
  _check_tiling(entries, len(data))
  return {
    name: np.frombuffer(data[begin:end], dtype).reshape(shape)
    for name, (dtype, shape, begin, end) in entries.items()
  }


def _entry(name: str, entry: Any) -> Entry:
  try:
    dtype = DTYPES[entry['dtype']]
    shape = tuple(entry['shape'])
    begin, end = entry['data_offsets']
  except (KeyError, TypeError, ValueError) as error:
    # A KeyError of a type of numbers such as F8_E4M3, of quantized files.
    raise ValueError(
      f'{name}: malformed entry ({error!r}), or numbers of other types than '
      f'{", ".join(DTYPES)}'
    ) from error
  if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
    raise ValueError(f'{name}: malformed shape {shape} or offsets')
  expected = math.prod(shape) * dtype.itemsize
  if end - begin != expected or len(shape) > MAX_RANK:
    raise ValueError(
      f'{name}: {dtype} of shape {shape} needs {expected} bytes, got offsets '
      f'{begin} to {end}'
    )
  return dtype, shape, begin, end


def _check_tiling(entries: Mapping[str, Entry], size: int) -> None:
  """Raises ValueError unless the tensors fill the data without gaps."""
  at = 0
  for name, (_, _, begin, end) in sorted(
    entries.items(), key=lambda item: item[1][2:]
  ):
    if begin != at:
      raise ValueError(f'{name}: expected to begin at byte {at}, got {begin}')
    at = end
  if at != size:
    raise ValueError(
      f'tensors of {at} bytes in a file with {size} of them; the file is '
      'damaged or incomplete, download it again'
    )


def write(path: pathlib.Path, tensors: Mapping[str, np.ndarray]) -> None:
  """Writes tensors by name, in sorted order; all of the file or nothing."""
  names = {dtype: name for name, dtype in DTYPES.items()}
  header, parts, offset = {}, [], 0
  for key in sorted(tensors):
    array = np.asarray(tensors[key])
    array = np.ascontiguousarray(array).reshape(array.shape)
    dtype = array.dtype.newbyteorder('<')
    if dtype not in names:
      raise ValueError(f'{path}: {key} has dtype {dtype}, which has no name.')
    data = array.astype(dtype).tobytes()
    header[key] = {
      'dtype': names[dtype],
      'shape': list(array.shape),
      'data_offsets': [offset, offset + len(data)],
    }
    parts.append(data)
    offset += len(data)
  text = json.dumps(header, separators=(',', ':')).encode()
  text += b' ' * (-len(text) % 8)
  with files.replacing(path) as unfinished, unfinished.open('wb') as file:
    file.write(len(text).to_bytes(8, 'little') + text)
    file.writelines(parts)
