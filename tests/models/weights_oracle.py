"""A second, slow reader of weight files, for what ours accepts.

It knows pickles by CPython's own unpickler (in Python, with all names replaced
by stand-ins) and shares no code with `uda_jax.models.weights`. Not for files of
strangers: memory and time are not bounded.
"""

import io
import json
import pickle
import zipfile

import ml_dtypes
import numpy as np

DTYPES = {
  'Double': 'f8',
  'Float': 'f4',
  'Half': 'f2',
  'BFloat16': ml_dtypes.bfloat16,
  'Long': 'i8',
  'Int': 'i4',
  'Short': 'i2',
  'Char': 'i1',
  'Byte': 'u1',
  'Bool': '?',
}


class Unpickler(pickle._Unpickler):  # pylint: disable=protected-access
  """Puts plain tuples in place of tensors and storages."""

  dispatch = dict(pickle._Unpickler.dispatch)

  def __init__(self, file):
    super().__init__(file, encoding='latin-1')

  def find_class(self, module, name):
    stand_ins = {
      '_rebuild_tensor': lambda *a: ('tensor', *a[:4]),
      '_rebuild_tensor_v2': lambda *a: ('tensor', *a[:4]),
      '_rebuild_parameter': lambda *a: a[0],
      'OrderedDict': dict,
      'scalar': lambda *a: None,
      'dtype': lambda *a: None,
      'encode': lambda *a: None,
    }
    return stand_ins.get(name, name)

  def persistent_load(self, pid):
    return pid

  def load_build(self):
    self.stack.pop()

  dispatch[pickle.BUILD[0]] = load_build


def _flat(content, prefix=''):
  for key, value in content.items():
    if isinstance(value, dict):
      yield from _flat(value, f'{prefix}{key}/')
    elif isinstance(value, tuple) and value and value[0] == 'tensor':
      yield f'{prefix}{key}', value[1:]


def _tensors(content, storage):
  found = {}
  for name, (pid, offset, shape, strides) in _flat(content):
    flat = np.frombuffer(storage(pid[2]), DTYPES[pid[1].split('Storage')[0]])
    # Element by element: nothing is trusted about offset and strides.
    where = np.full(shape, offset)
    for axis, stride in enumerate(strides):
      steps = np.arange(shape[axis]) * stride
      where = where + steps.reshape([-1] + [1] * (len(shape) - axis - 1))
    found[name] = flat[where]
  return found


def read_zip(data):
  archive = zipfile.ZipFile(io.BytesIO(data))
  (name,) = (n for n in archive.namelist() if n.endswith('/data.pkl'))
  root = name.removesuffix('data.pkl')
  content = Unpickler(io.BytesIO(archive.read(name))).load()
  return _tensors(content, lambda key: archive.read(f'{root}data/{key}'))


def read_legacy(data):
  file = io.BytesIO(data)
  for _ in range(3):
    Unpickler(file).load()
  content = Unpickler(file).load()
  order = Unpickler(file).load()
  sizes = {}

  class Sizes(Unpickler):
    def persistent_load(self, pid):
      item = np.dtype(DTYPES[pid[1].split('Storage')[0]]).itemsize
      sizes[pid[2]] = pid[4] * item
      return pid

  again = io.BytesIO(data)
  for _ in range(3):
    Unpickler(again).load()
  Sizes(again).load()
  storages = {}
  for key in order:
    file.read(8)
    storages[key] = file.read(sizes[key])
  return _tensors(content, storages.__getitem__)


def read_safetensors(data):
  length = int.from_bytes(data[:8], 'little')
  names = {
    'F64': 'f8',
    'F32': 'f4',
    'F16': 'f2',
    'BF16': ml_dtypes.bfloat16,
    'I64': 'i8',
    'I32': 'i4',
    'I16': 'i2',
    'I8': 'i1',
    'U8': 'u1',
    'BOOL': '?',
  }
  found = {}
  for name, entry in json.loads(data[8 : 8 + length].decode()).items():
    if name != '__metadata__':
      begin, end = (8 + length + n for n in entry['data_offsets'])
      found[name] = np.frombuffer(
        data[begin:end], names[entry['dtype']]
      ).reshape(entry['shape'])
  return found
