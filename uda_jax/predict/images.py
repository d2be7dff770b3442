"""Finding the images to predict, and reading them one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import glob
import os
import pathlib
import re

from absl import logging
import numpy as np

from uda_jax.data import file_tree
from uda_jax.data import image_files
from uda_jax.data import listing

# Folders of an output; a folder that has all of them was written by `predict`.
OUTPUTS = ('ids', 'color', 'overlay')
# All folders of an output.
WRITTEN = (*OUTPUTS, 'confidence', 'legend', 'probabilities')


def find(pattern: str) -> dict[str, pathlib.Path]:
  """Returns NAME -> image file, sorted, frame 2 before frame 10.

  Hidden and empty files, and the outputs of an earlier prediction, are skipped
  with a line in the log.

  Args:
    pattern: a folder (with all folders in it and linked ones), a file, or a
      pattern with *, ? and ** (any folders). [ is an ordinary character if that
      finds files, else the start of a set of characters. The ending matches in
      upper and lower case, and .jpg also means .jpeg, as in training. ~ is the
      home folder.
      NAME is the path below the folder, without ending; of a pattern, the
      file's name without ending.

  Raises:
    FileNotFoundError if there is no image, ValueError if two have one NAME.
  """
  path = pathlib.Path(os.path.expanduser(pattern))
  if path.is_dir():
    found = file_tree.find(path, leave_out=_outputs)
    files, hidden, empty = found
    named = [(p.relative_to(path).with_suffix('').as_posix(), p) for p in files]
  else:
    files, hidden, empty = _matches(path)
    named = [(p.stem, p) for p in files]
  skipped = listing.passed_over(hidden, empty)
  if skipped:
    logging.warning('--images: %s', skipped)
  if not files:
    raise FileNotFoundError(
      f'--images: found no image at {pattern!r} (a folder, a file, or a '
      f"pattern such as 'photos/*.jpg'; endings {', '.join(listing.ENDINGS)})"
    )
  names: dict[str, pathlib.Path] = {}
  for name, file in named:
    other = names.setdefault(name, file)
    if other != file:
      raise ValueError(
        f'--images: expected images of different names, got {other} and {file}'
        '; rename one, or give the folder that holds both folders'
      )
  return {name: names[name] for name in sorted(names, key=_numbered)}


def _matches(path: pathlib.Path) -> file_tree.FileTree:
  """Returns the image files that a pattern names."""
  text = str(path)
  if path.is_file():
    return file_tree.FileTree((path,), 0, 0)
  endings: tuple[str, ...] = listing.ENDINGS
  if path.suffix.lower() in endings:
    text = text.removesuffix(path.suffix) + '.*'
    ending = path.suffix.lower()[1:]
    names = next((s for s in listing.SPELLINGS if ending in s), (ending,))
    endings = tuple(f'.{name}' for name in names)
  found = glob.glob(text.replace('[', '[[]'), recursive=True)
  paths = sorted(map(pathlib.Path, found or glob.glob(text, recursive=True)))
  # A folder that links to one above it repeats its files; two links to one file
  # have two names.
  different = {
    (os.path.realpath(path.parent), path.name): path for path in reversed(paths)
  }
  files = [
    path
    for path in sorted(different.values())
    if path.name.lower().endswith(endings) and path.is_file()
  ]
  full = tuple(path for path in files if path.stat().st_size)
  return file_tree.FileTree(full, 0, len(files) - len(full))


def _outputs(names: set[str]) -> set[str]:
  """Returns the folders among siblings that a prediction has written."""
  if not names.issuperset(OUTPUTS):
    return set()
  logging.warning('--images: pictures of an earlier prediction are left out')
  return {*WRITTEN}


def _numbered(name: str) -> list[str | int]:
  """Returns a sorting key that compares digits 0-9 as numbers."""
  # Text and numbers alternate, so equal types are compared.
  parts = re.split('([0-9]+)', name)
  return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def read(
  files: dict[str, pathlib.Path],
  value_range: tuple[float, ...],
  failed: Callable[[str], None],
  channels: int = 3,
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields names and upright pixels [H, W, N] uint8, as training reads them.

  Args:
    files: of `find`.
    value_range: of the data set that the network was adapted to, or of these
      images.
    failed: called with one line for each file that cannot be read.
    channels: N, of the network's input.
  """
  for name, path in files.items():
    try:
      pixels = image_files.read_image(
        path,
        value_range=value_range,
        channels=channels,
        field='--value_range',
      )
    except (ValueError, OSError) as error:
      logging.warning('left out: %s', error)
      failed(str(error))
      continue
    yield name, pixels
