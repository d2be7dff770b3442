"""Hashes by which edited files are noticed, without reading all of them."""

from __future__ import annotations

from collections.abc import Iterable
import zlib

# Of a larger file, so many blocks of so many bytes are read.
_BLOCKS, _BYTES = 16, 1 << 13


def of_files(stamps: Iterable[tuple[str, int, int]]) -> str:
  """Returns hashes of the sizes and of the bytes of files, wherever they lie.

  The second one covers up to 16 blocks of 8 KiB of a file, the last one at its
  end: there, PNG files hold a checksum of all pixels, and an edit moves what a
  JPEG file holds. Files in a bucket have the first one alone, as each look
  would take a request.

  Args:
    stamps: path, number of bytes and time of change, which does not count.

  Returns:
    SIZES-BYTES, such as '0a1b2c3d-4e5f6071'; 'SIZES-' if any of the files is in
    a bucket. `parts` divides it.
  """
  sizes, found, read = 0, 0, True
  for path, size, _ in stamps:
    sizes = zlib.crc32(f'{size},'.encode(), sizes)
    found = zlib.crc32(f'{size}'.encode(), found)
    read = read and '://' not in path
    if not read:
      continue
    # Buffers are as large as the blocks of a file system: megabytes, of some.
    with open(path, 'rb', buffering=0) as file:
      for block in range(_BLOCKS):
        start = max(0, size - _BYTES) * block // (_BLOCKS - 1)
        # Blocks of a small file overlap.
        file.seek(max(start, file.tell()))
        found = zlib.crc32(file.read(start + _BYTES - file.tell()), found)
  return f'{sizes:08x}-{found:08x}' if read else f'{sizes:08x}-'


def parts(hashes: Iterable[str]) -> tuple[list[str], list[str] | None]:
  """Returns what `of_files` found, of the sizes and of the bytes of files.

  Args:
    hashes: of the files of each image, '' of rendered ones.

  Returns:
    Hashes of the sizes, and of the bytes; None if those of any image are not
    known.
  """
  found = [one.rpartition('-') for one in hashes]
  unread = any(dash and not read for _, dash, read in found)
  sizes = [sizes for sizes, _, _ in found]
  return sizes, None if unread else [read for _, _, read in found]
