"""Files that match a pattern, in which only * is special.

Hidden files (`._IMG.jpg`, `.DS_Store`), empty files and links that lead
nowhere are passed over, and counted; likewise in `file_tree`.
"""

from __future__ import annotations

from collections.abc import Iterator
import os
import re
import stat
from typing import Any, NamedTuple
import unicodedata

from etils import epath

# Image files, in upper or lower case.
ENDINGS = (
  '.png',
  '.jpg',
  '.jpeg',
  '.jpe',
  '.jfif',
  '.webp',
  '.bmp',
  '.tif',
  '.tiff',
  '.gif',
  '.ppm',
  '.pgm',
)
# Spellings of one format, without the dot.
SPELLINGS = (('jpg', 'jpeg', 'jpe', 'jfif'), ('tif', 'tiff'))
# Acted on by a terminal that prints the name; tabs and line breaks are read.
_CONTROL = re.compile('[\0-\x08\x0b-\x1f\x7f]')
_SYSTEM_FILES = ('thumbs.db', 'desktop.ini')


class File(NamedTuple):
  """A file, its bytes, and when it was last changed (nanoseconds)."""

  path: Any
  size: int
  changed: int


class Found(NamedTuple):
  """Files that match a pattern.

  Attributes:
    files: by NAME, which is what the * of the pattern stand for, sorted.
    hidden: number of hidden and system files that were passed over.
    empty: number of files of 0 bytes, and of links that lead nowhere.
    others: image files of other endings than the pattern's.
  """

  files: dict[str, File]
  hidden: int
  empty: int
  others: tuple[Any, ...]


def find(
  folder: epath.Path, pattern: str, field: str, endings: tuple[str, ...]
) -> Found:
  """Returns the files that match a pattern.

  Only * is special: any text without a slash. The ending matches in upper and
  lower case, and .jpg also means .jpeg; a pattern that ends with * takes all
  `endings`. ~ at the start is the home folder.

  Args:
    folder: what the pattern is relative to.
    pattern: such as 'images/*.png', 'seq*/left/*' or '/data/images/*.jpg'.
    field: the config field of the pattern, for messages.
    endings: of a pattern that ends with *.

  Raises:
    FileNotFoundError: no file matches.
    ValueError: the pattern has no * in its last part, or two files have one
      NAME.
  """
  folder, pattern = _absolute(folder, pattern, field)
  *parents, last = pattern.split('/')
  wanted, any_image = _last_part(last, endings)
  files: dict[str, File] = {}
  hidden = empty = 0
  others = []
  for stars, parent in _folders(folder, parents):
    for path in sorted(parent.iterdir(), key=str):
      if is_junk(path.name) and not last.startswith('.'):
        hidden += 1
        continue
      match = wanted.fullmatch(path.name)
      if not match:
        others += [path] if any_image.fullmatch(path.name) else []
        continue
      file = stat_file(path)
      if file is None or not file.size:
        empty += file is not None or not path.is_dir()
        continue
      _add(files, '/'.join((*stars, *match.groups())), file, field)
  if not files:
    raise FileNotFoundError(
      _none_found(folder, pattern, field, others, passed_over(hidden, empty))
    )
  return Found(dict(sorted(files.items())), hidden, empty, tuple(others))


def _absolute(
  folder: epath.Path, pattern: str, field: str
) -> tuple[epath.Path, str]:
  """Checks a pattern; returns the folder it starts from, and the rest of it."""
  if '*' not in pattern.split('/')[-1] or '**' in pattern:
    raise ValueError(
      f'{field}: expected a pattern with * in its last part '
      f"(and no **), such as 'images/*.png', got {pattern!r}"
    )
  pattern = os.path.expanduser(pattern)
  if pattern.startswith('/'):
    return epath.Path('/'), pattern.lstrip('/')
  return folder, pattern


def _add(files: dict[str, File], name: str, file: File, field: str) -> None:
  """Adds a file under its name; ValueError for a second one of one name."""
  if _CONTROL.search(file.path.name):
    raise ValueError(
      f'{field}: expected file names without control characters, got '
      f'{file.path.name!r}; rename it'
    )
  # One text has two encodings: macOS writes accents as letters of their own.
  name = unicodedata.normalize('NFC', name)
  if name in files:
    other = files[name].path
    alike = other.stem != file.path.stem
    raise ValueError(
      f'{field}: expected one file named {name!r}, got {other} and {file.path}'
      f'{", in two Unicode forms of one name" if alike else ""}; remove one, '
      f'or set {field} to a pattern that matches one of them'
    )
  files[name] = file


def is_junk(name: str) -> bool:
  """Returns whether a file is hidden or made by an operating system."""
  return name.startswith('.') or name.lower() in _SYSTEM_FILES


def is_image(name: str) -> bool:
  """Returns whether a file name has the ending of an image."""
  return not is_junk(name) and name.lower().endswith(ENDINGS)


def _none_found(
  folder: epath.Path,
  pattern: str,
  field: str,
  others: list[Any],
  skipped: str,
) -> str:
  special = (
    ' (only * is special in it; ? and [ stand for themselves)'
    if re.search(r'[?\[]', pattern)
    else ''
  )
  hint = f'; there is {others[0].name}' if others else ''
  hint += f'; {skipped}' if skipped else ''
  return (
    f'{field}: found no file {pattern!r} in {folder}{special}{hint}; check '
    'the pattern and the root'
  )


def _last_part(
  last: str, endings: tuple[str, ...]
) -> tuple[re.Pattern[str], re.Pattern[str]]:
  """Compiles the file names that match, and those of any image ending."""
  last = last.removesuffix('.*') if last.endswith('*.*') else last
  stem, ending = last, ''
  if not last.endswith('*'):
    stem, _, ending = last.rpartition('.')
  spellings = [s for s in SPELLINGS if ending.lower() in s]
  wanted = tuple(e[1:] for e in endings)
  if ending:
    wanted = [*spellings, (ending,)][0]
  compiled = lambda names: re.compile(
    rf'{_stars(stem)}\.(?i:{"|".join(map(re.escape, names))})'
  )
  return compiled(wanted), compiled(e[1:] for e in ENDINGS)


def _stars(part: str) -> str:
  return '([^/]*)'.join(map(re.escape, part.split('*')))


def _folders(
  folder: Any, parts: list[str], stars: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
  """Yields the folders that match, and what their * stand for."""
  if not parts:
    if folder.is_dir():
      yield stars, folder
    return
  part, *rest = parts
  if '*' not in part:
    yield from _folders(folder / part, rest, stars)
    return
  if not folder.is_dir():
    return
  matcher = re.compile(_stars(part))
  for child in sorted(folder.iterdir(), key=str):
    match = matcher.fullmatch(child.name)
    if match and (part.startswith('.') or not child.name.startswith('.')):
      yield from _folders(child, rest, (*stars, *match.groups()))


def stat_file(path: Any) -> File | None:
  """Returns a file's size and time; None for a folder or a dead link."""
  if '://' in str(path):
    facts = path.stat()
    if facts.is_directory:
      return None
    return File(path, facts.length, int(facts.mtime * 1e9))
  try:
    facts = os.stat(path)
  except OSError:
    return None
  if stat.S_ISDIR(facts.st_mode):
    return None
  return File(path, facts.st_size, facts.st_mtime_ns)


def passed_over(hidden: int, empty: int) -> str:
  """Describes files that were passed over, '' if there are none."""
  parts = [
    f'{count} {kind}'
    for count, kind in (
      (hidden, 'hidden or system'),
      (empty, 'empty (0 bytes, or a link that leads nowhere)'),
    )
    if count
  ]
  return f'{" and ".join(parts)} file(s) passed over' if parts else ''
