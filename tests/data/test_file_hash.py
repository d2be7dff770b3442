"""Hashes of files: edits that keep the number of bytes are noticed."""

import pathlib
import sys

import numpy as np
from PIL import Image
import pytest

from uda_jax.data import file_hash


def of(path):
  return file_hash.of_files([(str(path), path.stat().st_size, 0)])


@pytest.mark.parametrize('count', [0, 1, 8191, 8192, 100_000, 131_072])
def test_small_files_are_read_whole(tmp_path, count):
  path = tmp_path / 'a'
  content = np.random.default_rng(0).bytes(count)
  path.write_bytes(content)
  before = of(path)
  for place in range(0, count, max(1, count // 7)):
    path.write_bytes(
      content[:place]
      + b'x!'[content[place] == 120 :][:1]
      + content[place + 1 :]
    )
    assert of(path) != before
  path.write_bytes(content)
  assert of(path) == before
  path.write_bytes(content + b'\0')
  assert of(path) != before


def test_edited_pixels_of_large_files(tmp_path):
  """PNG files end with checksums of all pixels."""
  pixels = np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)
  hashes = set()
  for place in (0, 250, 499):
    edited = pixels.copy()
    edited[place, 350] ^= 1
    Image.fromarray(edited).save(tmp_path / 'a.png', compress_level=0)
    hashes.add(of(tmp_path / 'a.png'))
  assert len(hashes) == 3


def test_time_and_folder_do_not_count(tmp_path):
  (tmp_path / 'a').write_bytes(b'abc')
  (tmp_path / 'b').write_bytes(b'abc')
  assert of(tmp_path / 'a') == of(tmp_path / 'b')
  stamp = (str(tmp_path / 'a'), 3, 99)
  assert file_hash.of_files([stamp]) == of(tmp_path / 'b')
  assert file_hash.of_files([stamp, stamp]) != of(tmp_path / 'b')


def test_buckets_are_not_read():
  stamps = [('gs://x/a.png', 3, 0)]
  assert file_hash.of_files(stamps) == file_hash.of_files(stamps)
  assert file_hash.of_files(stamps) != file_hash.of_files([('gs://x/a', 4, 0)])


def test_sizes_in_a_bucket_compare_with_those_of_files_that_are_read(tmp_path):
  for name in 'ab':
    (tmp_path / name).write_bytes(name.encode() * 3)
  here = [of(tmp_path / name) for name in 'ab']
  there = [file_hash.of_files([(f'gs://x/{name}', 3, 0)]) for name in 'ab']
  (sizes, contents), (bucket_sizes, none) = map(file_hash.parts, (here, there))
  assert sizes == bucket_sizes and none is None
  assert contents[0] != contents[1]
  # One file that is not read leaves nothing to compare with.
  assert file_hash.parts([here[0], there[1]]) == (sizes, None)
  assert file_hash.parts(['', here[0]])[1] == ['', contents[0]]
  # 1 and 23 bytes are not 12 and 3.
  pairs = [[('gs://a', m, 0), ('gs://b', n, 0)] for m, n in ((1, 23), (12, 3))]
  assert file_hash.of_files(pairs[0]) != file_hash.of_files(pairs[1])


@pytest.mark.skipif(sys.platform != 'linux', reason='reads are counted there')
def test_large_files_are_not_read_whole(tmp_path, monkeypatch):
  """On network file systems, a buffer of Python holds a megabyte or more."""
  path = tmp_path / 'a'
  path.write_bytes(bytes(1 << 22))
  buffered = lambda path, mode, buffering=1 << 20: open(path, mode, buffering)
  monkeypatch.setattr(file_hash, 'open', buffered, raising=False)
  read = lambda: int(pathlib.Path('/proc/self/io').read_text().split()[1])
  before = read()
  of(path)
  assert read() - before < 1 << 18
