"""Lists of image names: text files, and the official split of GTA5."""

from __future__ import annotations

import codecs
import collections
from collections.abc import Iterable, Sequence
import os
import pathlib
import re
from typing import Any
import unicodedata

from etils import epath
import numpy as np

from uda_jax.data import folder_record
from uda_jax.data import listing

# GTA5's file of its official split; its keys, by the names of lists.
SPLIT_FILE = 'split.mat'
SPLIT_KEYS = {
  'train.txt': 'trainIds',
  'val.txt': 'valIds',
  'test.txt': 'testIds',
}
# An image file, and more after it.
_COLUMNS = re.compile(
  rf'(?i:{"|".join(map(re.escape, listing.ENDINGS))})[\s,;]+\S'
)
# Missing names that a message lists.
_SHOWN = 3


def read(
  folder: epath.Path,
  record: folder_record.FolderRecord,
  images: listing.Found,
  field: str,
) -> list[str]:
  """Returns the NAMEs of the images that a list names, in its order.

  A line is a NAME, or the file name of one image with or without folders and
  ending (`RGB/0000001.png`), or its number without leading zeros. Where images
  lie in several folders, those in a line must be the image's. Without the
  file, `train.txt`, `val.txt` and `test.txt` are read from GTA5's `split.mat`.

  Args:
    folder: of the data set.
    record: the data set; `files` is the list's path, relative to `folder`.
    images: the images that are there.
    field: the config field of the record, for messages.

  Raises:
    FileNotFoundError: there is no such list.
    ValueError: it is damaged, or names an image that is not there, one of
      several, or one twice.
  """
  path = folder / epath.Path(record.files).expanduser()
  split = path.parent / SPLIT_FILE
  if path.is_file():
    lines = _lines(path.read_bytes())
  elif path.name in SPLIT_KEYS and split.is_file():
    lines, path = read_split(split, SPLIT_KEYS[path.name]), split
  else:
    hint = (
      f' nor {SPLIT_FILE}; GTA5 is published with it, on the page of the images'
      if path.name in SPLIT_KEYS and record.name.startswith('GTA5')
      else ''
    )
    if '*' in record.files:
      hint = f'; patterns are a tuple: ({record.files!r},)'
    raise FileNotFoundError(f'{field}.files: found no file {path}{hint}')
  try:
    return resolve(lines, images.files)
  except ValueError as error:
    raise ValueError(
      f'{field}.files: expected names of images {record.images!r} in {path}, '
      f'got {error}'
    ) from error


def _lines(content: bytes) -> list[str]:
  # What Windows' editors call Unicode.
  if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    content = content.decode('utf-16', 'replace').encode()
  # A byte-order mark of Windows' editors is no part of a name.
  text = content.decode('utf-8-sig', 'surrogateescape')
  lines = unicodedata.normalize('NFC', text).split('\n')
  return [line.strip() for line in lines if line.strip()]


def read_split(path: Any, key: str) -> list[str]:
  """Returns the image numbers of one part of GTA5's split.

  Args:
    path: of `split.mat`.
    key: 'trainIds', 'valIds' or 'testIds'.

  Raises:
    ValueError: the file is not MATLAB's, or has no image numbers of that key.
  """
  # Slow to import, and needed here alone.
  from scipy import io

  try:
    with path.open('rb') as file:
      values = np.asarray(io.loadmat(file, variable_names=[key])[key])
    numbers = values.ravel().astype(np.int64)
    if (
      not numbers.size
      or (numbers < 1).any()
      or (numbers != values.ravel()).any()
    ):
      raise ValueError('expected positive whole numbers')
  # A damaged file raises what the parser happens to meet.
  except Exception as error:
    raise ValueError(
      f'{path}: expected the split of GTA5 with image numbers {key!r}, got '
      f'something else ({type(error).__name__}: {error}); download it again '
      'from the page of the images'
    ) from error
  return [str(number) for number in numbers]


def resolve(lines: Sequence[str], images: dict[str, listing.File]) -> list[str]:
  """Returns the NAME that each line stands for; see `read`.

  Args:
    lines: of a list.
    images: NAME -> file.

  Raises:
    ValueError: what is wrong, to follow 'expected names ..., got'.
  """
  known: dict[str, set[str]] = {}
  for name, file in images.items():
    for text in (pathlib.PurePosixPath(name).name, file.path.stem):
      known.setdefault(_key(text), set()).add(name)
  folders = _folders(images)
  found = [
    {line}
    if line in images
    else {
      name
      for name in known.get(_key(_stem(line)), ())
      if _is_below(folders[name], line)
    }
    for line in lines
  ]
  columns = [line for line in lines if _COLUMNS.search(line)]
  columns = [line for line in columns if line not in images]
  if columns:
    raise ValueError(
      f'{_listed(columns[:1])}; a line names one image and nothing else'
    )
  missing = [line for line, names in zip(lines, found) if not names]
  if missing:
    raise ValueError(
      f'{len(missing)} of {len(lines)} that are no image, such as '
      f'{_listed(missing)}; names look like {next(iter(images))!r}'
    )
  for line, names in zip(lines, found):
    if len(names) > 1:
      raise ValueError(
        f'{line!r}, which is several images: {_listed(sorted(names))}'
      )
  chosen = [names.pop() for names in found]
  twice = [name for name, n in collections.Counter(chosen).items() if n > 1]
  if twice:
    raise ValueError(f'the same name twice: {_listed(twice)}')
  return chosen


def _folders(images: dict[str, listing.File]) -> dict[str, tuple[str, ...]]:
  """Returns NAME -> its folder below the lowest one that holds all images."""
  parents = {
    name: pathlib.PurePosixPath(str(file.path)).parent.parts
    for name, file in images.items()
  }
  # Equal for the first and the last in order is equal for all.
  ends = (min(parents.values()), max(parents.values())) if parents else ((), ())
  common = len(os.path.commonprefix(ends))
  return {name: parts[common:] for name, parts in parents.items()}


def _is_below(folder: tuple[str, ...], line: str) -> bool:
  """Returns whether the folders in a line, if it has any, end like a folder."""
  parts = pathlib.PurePosixPath(line.replace('\\', '/')).parent.parts
  depth = min(len(parts), len(folder))
  return not depth or parts[-depth:] == folder[-depth:]


def _listed(names: Iterable[str]) -> str:
  return ', '.join(repr(name) for name in list(names)[:_SHOWN])


def _stem(line: str) -> str:
  """Returns a line without folders and without the ending of an image."""
  path = pathlib.PurePosixPath(line.replace('\\', '/'))
  return path.stem if path.suffix.lower() in listing.ENDINGS else path.name


def _key(stem: str) -> str:
  """Returns a stem, a number without its leading zeros."""
  is_number = stem.isascii() and stem.isdecimal()
  return str(int(stem)) if is_number else stem
