"""Sharded safetensors: read whole, and one line for what is wrong."""

import json

import numpy as np
import pytest

from tests.bad_inputs import case
from uda_jax.models import weights
from uda_jax.models.weights import metadata
from uda_jax.models.weights import safetensors

TENSORS = {
  'a.weight': np.arange(6, dtype=np.float32).reshape(2, 3),
  'b.weight': np.ones(4, np.float16),
  'c.weight': np.zeros((1, 2), np.float32),
}
SHARDS = {
  'net-00001-of-00002.safetensors': ('a.weight', 'c.weight'),
  'net-00002-of-00002.safetensors': ('b.weight',),
}


def _write(folder, weight_map=None):
  for shard, names in SHARDS.items():
    safetensors.write(folder / shard, {name: TENSORS[name] for name in names})
  if weight_map is None:
    weight_map = {name: s for s, names in SHARDS.items() for name in names}
  path = folder / 'net.safetensors.index.json'
  path.write_text(json.dumps({'metadata': {}, 'weight_map': weight_map}))
  return path


def test_all_shards_are_read(tmp_path):
  found = weights.read(_write(tmp_path))
  assert found.keys() == TENSORS.keys()
  for name, x in TENSORS.items():
    assert found[name].dtype == x.dtype
    np.testing.assert_array_equal(found[name], x)


def test_the_hash_covers_all_shards(tmp_path):
  path = _write(tmp_path)
  before = metadata.sha256(path)
  assert before == metadata.sha256(path)
  shard = tmp_path / 'net-00002-of-00002.safetensors'
  data = bytearray(shard.read_bytes())
  data[-1] ^= 1
  shard.write_bytes(data)
  assert metadata.sha256(path) != before


def test_a_missing_shard_is_named(tmp_path):
  path = _write(tmp_path)
  (tmp_path / 'net-00002-of-00002.safetensors').unlink()
  with pytest.raises(
    ValueError,
    match=r'index\.json: expected 2 shards beside it, missing '
    r'net-00002-of-00002\.safetensors; download',
  ):
    weights.read(path)


def test_a_shard_that_is_a_pointer_is_named(tmp_path):
  """In a clone without Git LFS the small index is there, its shards are not."""
  path = _write(tmp_path)
  case.lfs(tmp_path / 'net-00002-of-00002.safetensors')
  with pytest.raises(ValueError, match='00002.safetensors: .*git lfs pull'):
    weights.read(path)


def test_a_shard_alone_names_the_index(tmp_path):
  _write(tmp_path)
  with pytest.raises(ValueError, match='2 shards; name the index net.*json'):
    weights.read(tmp_path / 'net-00001-of-00002.safetensors')


@pytest.mark.parametrize(
  ('weight_map', 'message'),
  [
    ({'a.weight': '../a.safetensors'}, 'a.weight: expected the name of a file'),
    ({'a.weight': 3}, 'a.weight: expected the name of a file'),
    ({}, "expected an object with a 'weight_map'"),
    ([], "expected an object with a 'weight_map'"),
    (
      {'a.weight': 'net-00001-of-00002.safetensors'},
      'has, against the index, c.weight',
    ),
    (
      {
        'b.weight': 'net-00002-of-00002.safetensors',
        'z': 'net-00002-of-00002.safetensors',
      },
      'lacks z',
    ),
  ],
)
def test_bad_indices(weight_map, message, tmp_path):
  path = _write(tmp_path, weight_map)
  with pytest.raises(ValueError, match=f'index.json.*{message}') as error:
    weights.read(path)
  assert '\n' not in str(error.value)


def test_an_index_that_is_no_json(tmp_path):
  path = tmp_path / 'net.safetensors.index.json'
  path.write_text('{"weight_map": ')
  with pytest.raises(ValueError, match='index.json: expected JSON'):
    weights.read(path)
