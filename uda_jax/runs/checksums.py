"""Checksums of the files of a checkpoint: written with it, checked before use.

A checkpoint is a folder of many files; `checksums.json` in it holds the size
and the CRC-32 of each. Checkpoints of earlier versions have none.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import pathlib
import shutil
import uuid
import zlib

from absl import logging

from uda_jax.runs import lock

_NAME = 'checksums.json'
# Written by orbax when a checkpoint is complete, after the checksums.
_LATER = ('_CHECKPOINT_METADATA', 'commit_success.txt')
_BLOCK = 1 << 22


def write(folder: pathlib.Path) -> None:
  """Writes the checksums of all files below a folder that is complete."""
  found = {
    path.relative_to(folder).as_posix(): [path.stat().st_size, _crc(path)]
    for path in sorted(folder.rglob('*'))
    if path.is_file() and path.name not in (_NAME, *_LATER)
  }
  (folder / _NAME).write_text(json.dumps(found, indent=0) + '\n')


def damage(folder: pathlib.Path, item: str) -> str:
  """Returns what is wrong with a checkpoint, '' if nothing is found.

  Without checksums only what can be seen from outside is looked at.

  Args:
    folder: of the checkpoint.
    item: the folder in it that must be there.

  Returns:
    '<file>: expected ..., got ...'.
  """
  if not (folder / item).is_dir():
    return f'{folder / item}: expected a folder, found none'
  metadata = folder / item / '_METADATA'
  if not metadata.is_file() or not metadata.stat().st_size:
    return f'{metadata}: expected the list of arrays, got none or an empty file'
  sums = folder / _NAME
  if not sums.is_file():
    return ''
  try:
    expected = json.loads(sums.read_text())
    files = [(folder / name, *facts) for name, facts in expected.items()]
    problems = (_problem(path, size, crc) for path, size, crc in files)
    return next(filter(None, problems), '')
  except (ValueError, AttributeError, TypeError):
    return f'{sums}: expected sizes and checksums, got something else'


def set_aside(folder: pathlib.Path, item: str, *, required: bool) -> None:
  """Moves damaged checkpoints away until the newest one is whole.

  Args:
    folder: of checkpoints, named by their numbers; moved to `../damaged`.
    item: see `damage`.
    required: whether it is an error if none is whole; nothing is moved then.
  """
  steps = [p for p in folder.glob('*') if p.name.isdecimal()]
  damaged = []
  for step in sorted(steps, key=lambda path: -int(path.name)):
    problem = damage(step, item)
    if not problem:
      break
    damaged.append((step, problem))
  if required and damaged and len(damaged) == len(steps):
    raise ValueError(
      f'{damaged[0][1]}. No checkpoint in {folder} is whole: put the file '
      'back, remove the folder to start from step 0, or use a new --workdir'
    )
  for step, problem in damaged:
    aside = folder.parent / 'damaged'
    aside.mkdir(exist_ok=True)
    aside /= f'{folder.name}_{step.name}_{uuid.uuid4().hex[:8]}'
    shutil.move(step, aside)  # the folder may be a link to another disk
    logging.warning(
      '%s. This checkpoint is damaged and moved to %s; %s',
      problem,
      aside,
      'an older one is resumed'
      if len(steps) > len(damaged)
      else 'the best network is chosen from here on',
    )


@contextlib.contextmanager
def reading(folder: pathlib.Path) -> Iterator[None]:
  """Turns any error of a reader of damaged files into one line."""
  try:
    yield
  except Exception as error:
    raise ValueError(
      f'{folder}: expected a checkpoint, got one that cannot be read '
      f'({_first_line(error)}). Remove its folder to use an older one'
    ) from error


@contextlib.contextmanager
def writing(
  workdir: pathlib.Path, what: str = 'a checkpoint'
) -> Iterator[None]:
  """Turns any error of a writer, such as a full disk, into `lock.Gone`."""
  try:
    yield
  except Exception as error:
    raise lock.Gone(
      f'{workdir}: {what} cannot be written ({_first_line(error)}). Make '
      'space or mend the file system; the same command then resumes from the '
      'last checkpoint'
    ) from error


def _first_line(error: Exception) -> str:
  """Returns the type and the first line of an error."""
  return f'{type(error).__name__}: {error}'.splitlines()[0][:200]


def _problem(path: pathlib.Path, size: int, crc: int) -> str:
  """Returns what is wrong with a file, '' if nothing is."""
  if not path.is_file():
    return f'{path}: expected a file of {size} bytes, found none'
  if (found := path.stat().st_size) != size:
    return f'{path}: expected {size} bytes, got {found}'
  if _crc(path) != crc:
    return f'{path}: expected the bytes that were written, got others'
  return ''


def _crc(path: pathlib.Path) -> int:
  crc = 0
  with path.open('rb') as file:
    while block := file.read(_BLOCK):
      crc = zlib.crc32(block, crc)
  return crc
