"""Weight files: damaged, hostile, of something else, of another network."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile

import numpy as np

from tests.bad_inputs import case
from uda_jax.models import weights
from uda_jax.models.weights import safetensors

_TENSORS = {'w': np.ones((4, 4), np.float32)}


def _read(make, name='a.safetensors'):
  def run(folder):
    make(folder / name)
    weights.read(folder / name)

  return run


def _header(header, size=8):
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  return lambda path: path.write_bytes(
    struct.pack('<Q', len(text)) + text + bytes(size)
  )


def _tensor(**changes):
  entry = {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]} | changes
  return _header({'w': entry})


def _cut(size):
  def make(path):
    safetensors.write(path, _TENSORS)
    path.write_bytes(path.read_bytes()[:size])

  return make


class _Call:
  """A pickle that runs a program."""

  def __reduce__(self):
    return os.system, ('touch executed',)


def _zip(members):
  def make(path):
    with zipfile.ZipFile(path, 'w') as archive:
      for name, content in members.items():
        archive.writestr(f'archive/{name}', content)

  return make


def _bytes(content):
  return lambda path: path.write_bytes(content)


_INDEX = 'a.safetensors.index.json'
_SAFETENSORS = (
  ('none', lambda p: None, r'a\.safetensors'),
  ('a folder', os.mkdir, 'got a folder; name the file'),
  ('a link to itself', case.loop, r'a\.safetensors'),
  ('empty', _bytes(b''), 'the file is empty; download it again'),
  ('text', _bytes(b'hello world'), 'a known format|expected'),
  ('pointer of Git LFS', case.lfs, 'git lfs pull'),
  ('web page', _bytes(b'<html>404'), 'an HTML page; download the file itself'),
  ('zeros', _bytes(b'\0' * 64), r'a\.safetensors'),
  ('cut in its length', _cut(7), r'a\.safetensors'),
  ('cut in its header', _cut(40), 'download it again|truncated'),
  ('cut in its data', _cut(-1), 'download it again|truncated'),
  (
    'a header of a terabyte',
    _bytes(struct.pack('<Q', 2**40) + b'{}'),
    'a.safe',
  ),
  ('a deep header', _header(b'{"a":' * 20_000), r'a\.safetensors'),
  ('a list as header', _header([]), r'a\.safetensors'),
  ('half a header', _header(b'{"a": 1 '), r'a\.safetensors'),
  ('a short tensor', _tensor(data_offsets=[0, 4]), 'w.*needs 8 bytes'),
  ('a shifted tensor', _tensor(data_offsets=[4, 12]), 'begin at byte 0, got 4'),
  ('a negative shape', _tensor(shape=[-2]), 'w.*malformed'),
  ('a huge shape', _tensor(shape=[2**62, 2**62]), 'w'),
  ('a shape of text', _tensor(shape='22'), 'w.*malformed'),
  ('an unknown type', _tensor(dtype='F9'), 'w.*malformed'),
  ('no entry', _header({'w': []}), 'w.*malformed'),
)
_PICKLES = (
  ('a pickle that runs a program', _bytes(pickle.dumps(_Call(), 2)), 'a.pth'),
  (
    'an archive that runs a program',
    _zip({'data.pkl': pickle.dumps(_Call(), 2)}),
    r'a\.pth.*(os|posix)\.system.*refused',
  ),
  ('an empty archive', _zip({}), r'a\.pth'),
  ('an archive of text', _zip({'data.pkl': b'hello'}), r'a\.pth'),
  ('an archive of a number', _zip({'data.pkl': pickle.dumps(3, 2)}), r'a\.pth'),
  ('a cut archive', _bytes(b'PK\3\4' + b'x' * 50), r'a\.pth'),
  ('half a pickle', _bytes(pickle.dumps({'w': 1}, 2)[:-3]), r'a\.pth'),
)
_INDICES = (
  ('an index of text', _bytes(b'hello'), 'index'),
  ('an empty index', _bytes(b'{}'), 'index'),
  ('an index of a list', _bytes(b'[]'), 'index'),
  ('a deep index', _bytes(b'[' * 100_000), 'index'),
  (
    'an index whose part is gone',
    _bytes(b'{"weight_map": {"w": "b.safetensors"}}'),
    'b.safetensors',
  ),
  (
    'an index that leads out of its folder',
    _bytes(b'{"weight_map": {"w": "../b.safetensors"}}'),
    r'index|\.\./b',
  ),
)
CASES = (
  *(case.Case(name, _read(make), line) for name, make, line in _SAFETENSORS),
  *(
    case.Case(name, _read(make, 'a.pth'), line) for name, make, line in _PICKLES
  ),
  *(
    case.Case(name, _read(make, _INDEX), line) for name, make, line in _INDICES
  ),
)
