"""Files are written whole or not at all."""

import pytest

from uda_jax import files


def test_the_file_appears_with_its_folder(tmp_path):
  path = tmp_path / 'a' / 'b.txt'
  files.write_atomically(str(path), b'one')
  files.write_atomically(path, b'two')
  assert path.read_bytes() == b'two'
  assert list(path.parent.iterdir()) == [path]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
  path = tmp_path / 'b.txt'
  files.write_atomically(path, b'old')
  with pytest.raises(RuntimeError), files.replacing(path) as unfinished:
    unfinished.write_bytes(b'half')
    raise RuntimeError
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]


def test_nan_is_no_json():
  assert files.to_json({'a': [1]}) == b'{\n  "a": [\n    1\n  ]\n}\n'
  with pytest.raises(ValueError):
    files.to_json({'a': float('nan')})
