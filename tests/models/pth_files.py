"""Writes PyTorch weight files by hand: pickle instructions, no PyTorch."""

import struct
import zipfile

import numpy as np

from uda_jax.models.weights import pth
from uda_jax.models.weights import torch_pickle

KINDS = {dtype: name for name, dtype in torch_pickle.STORAGES.items()}
PROTO, STOP = b'\x80\x02', b'.'


def text(value):
  data = value.encode()
  return b'X' + struct.pack('<I', len(data)) + data


def integer(value):
  if -(2**31) <= value < 2**31:
    return b'J' + struct.pack('<i', value)
  data = value.to_bytes(16, 'little', signed=True)
  return b'\x8a' + bytes([len(data)]) + data


def sequence(items):
  return b'(' + b''.join(items) + b't'


def name(module, attribute):
  return f'c{module}\n{attribute}\n'.encode()


def call(function, *args):
  return function + sequence(args) + b'R'


def mapping(entries):
  """An OrderedDict as state dicts are, {name: pickled value}."""
  items = b''.join(text(key) + value for key, value in entries.items())
  return call(name('collections', 'OrderedDict')) + b'(' + items + b'u'


def storage(array, key, *more, kind=None, size=None):
  """The persistent id of a flat array; `more` is None in old files."""
  return (
    sequence(
      [
        text('storage'),
        name('torch', kind or KINDS[array.dtype]),
        text(key),
        text('cpu'),
        integer(array.size if size is None else size),
        *more,
      ]
    )
    + b'Q'
  )


def tensor(
  stored, shape, strides=None, offset=0, function='_rebuild_tensor_v2'
):
  """A tensor; strides of a contiguous one if not given."""
  if strides is None:
    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
  return call(
    name('torch._utils', function),
    stored,
    integer(offset),
    sequence(map(integer, shape)),
    sequence(map(integer, strides)),
    b'\x89',
    call(name('collections', 'OrderedDict')),
  )


def write_zip(path, content, storages, **members):
  """A file of PyTorch 1.6 and later.

  Args:
    path: of the file.
    content: the pickle's instructions.
    storages: flat arrays by key.
    **members: further members, in place of the usual ones.
  """
  files = {'data.pkl': PROTO + content + STOP, 'version': b'3\n'}
  files |= {f'data/{key}': array.tobytes() for key, array in storages.items()}
  with zipfile.ZipFile(path, 'w') as archive:
    for member, data in (files | members).items():
      archive.writestr(f'archive/{member}', data)


def write_legacy(path, content, storages, *, order=None, endian=b'\x88'):
  """A file of PyTorch before 1.6: five pickles, then the storages."""
  magic = b'\x8a\x0a' + pth.LEGACY_MAGIC.to_bytes(10, 'little')
  protocol = b'M' + struct.pack('<H', pth.LEGACY_PROTOCOL)
  system = b'}' + text('little_endian') + endian + b's'
  keys = b']' + b'('
  keys += b''.join(map(text, storages if order is None else order)) + b'e'
  with open(path, 'wb') as file:
    for pickled in (magic, protocol, system, content, keys):
      file.write(PROTO + pickled + STOP)
    for array in storages.values():
      file.write(struct.pack('<q', array.size) + array.tobytes())
