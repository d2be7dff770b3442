"""The safetensors format: there and back, and damaged files."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest

from uda_jax.models import weights
from uda_jax.models.weights import safetensors


def test_safetensors_round_trip(tmp_path):
  path = tmp_path / 'a.safetensors'
  tensors = {
    'matrix': np.arange(24, dtype=np.float32).reshape(4, 6).T,
    'scalar': np.float64(2.5),
    'ids': np.arange(5),
    'mask': np.array([True, False]),
    'none': np.zeros((0, 3)),
    'brain': np.array([1.5], ml_dtypes.bfloat16),
  }
  safetensors.write(path, tensors)
  found = weights.read(path)
  assert sorted(found) == sorted(tensors)
  for name, array in tensors.items():
    assert found[name].dtype == np.asarray(array).dtype
    assert found[name].shape == np.shape(array)
    np.testing.assert_array_equal(found[name], array)
  # The format: length, header padded to 8 bytes, data.
  content = path.read_bytes()
  (length,) = struct.unpack('<Q', content[:8])
  assert length % 8 == 0
  assert json.loads(content[8 : 8 + length])['ids']['shape'] == [5]


@pytest.mark.parametrize(
  ('entry', 'message'),
  [
    ({'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 4]}, 'needs 8 bytes'),
    (
      {'dtype': 'F32', 'shape': [2], 'data_offsets': [4, 12]},
      'expected to begin at byte 0, got 4',
    ),
    ({'dtype': 'F32', 'shape': [-2], 'data_offsets': [0, 8]}, 'malformed'),
    ({'dtype': 'F9', 'shape': [2], 'data_offsets': [0, 8]}, 'F9.*F64, F32'),
    ({'dtype': 'F32', 'shape': 2, 'data_offsets': [0, 8]}, 'malformed'),
    ({'dtype': ['F32'], 'shape': [2], 'data_offsets': [0, 8]}, 'malformed'),
    ([], 'malformed'),
  ],
)
def test_damaged_safetensors(tmp_path, entry, message):
  path = tmp_path / 'a.safetensors'
  header = json.dumps({'w': entry}).encode()
  path.write_bytes(struct.pack('<Q', len(header)) + header + bytes(8))
  with pytest.raises(ValueError, match=f'a.safetensors: w.*{message}'):
    weights.read(path)


@pytest.mark.parametrize(
  ('offsets', 'message'),
  [
    # Many names of the same bytes would fill the memory.
    (([0, 8], [0, 8]), 'b: expected to begin at byte 8, got 0'),
    (([0, 8], [4, 12]), 'b: expected to begin at byte 8, got 4'),
    (([0, 8], [12, 20]), 'b: expected to begin at byte 8, got 12'),
    (([0, 8], [8, 16]), 'tensors of 16 bytes in a file with 24'),
    (([8, 16], [16, 24]), 'a: expected to begin at byte 0, got 8'),
  ],
)
def test_tensors_fill_the_file_side_by_side(tmp_path, offsets, message):
  path = tmp_path / 'a.safetensors'
  header = json.dumps(
    {
      name: {'dtype': 'F32', 'shape': [2], 'data_offsets': where}
      for name, where in zip('ab', offsets)
    }
  ).encode()
  path.write_bytes(struct.pack('<Q', len(header)) + header + bytes(24))
  with pytest.raises(ValueError, match=message):
    weights.read(path)


def test_damaged_safetensors_header(tmp_path):
  path = tmp_path / 'a.safetensors'
  for content in (
    struct.pack('<Q', 2**40) + b'{}' + bytes(16),
    struct.pack('<Q', 8) + b'{"a": 1 ',
    struct.pack('<Q', 100_000) + b'{"a":' * 20_000,
  ):
    path.write_bytes(content)
    with pytest.raises(ValueError, match='a.safetensors'):
      weights.read(path)


def test_safetensors_refuses_what_it_cannot_name(tmp_path):
  with pytest.raises(ValueError, match='w has dtype complex64'):
    safetensors.write(tmp_path / 'a', {'w': np.zeros(2, np.complex64)})
