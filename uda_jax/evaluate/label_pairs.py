"""Pairs of predicted and true label files."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

from absl import logging

from uda_jax import words
from uda_jax.data import file_tree
from uda_jax.data import listing

TRUTH = '_gtFine_labelIds.png'
# Lossless formats.
_ENDINGS = ('.png', '.tif', '.tiff', '.bmp', '.gif')

Pair = tuple[pathlib.Path, pathlib.Path]


def cityscapes(
  predictions: pathlib.Path, truth: pathlib.Path
) -> Iterator[Pair]:
  """Yields (prediction, label file) of each frame of Cityscapes.

  Args:
    predictions: folder of PNGs named `<city>_<sequence>_<frame>*.png`,
      anywhere below it.
    truth: folder of `*_gtFine_labelIds.png`.
  """
  labels = _frames(_files(truth, (TRUTH.lower(),)), 'label file')
  if not labels:
    raise FileNotFoundError(
      f'{truth}: expected files named *{TRUTH}, found none; --ids=train scores '
      'label files of other names'
    )
  found = _frames(_files(predictions, ('.png',)), 'prediction')
  missing = [frame for frame in labels if frame not in found]
  if missing:
    raise FileNotFoundError(
      f'{predictions}: expected a PNG for each of {len(labels)} label files, '
      f'found none named {missing[0]}*.png ({len(missing)} are missing)'
    )
  _tell(predictions, len(labels), len(found))
  for frame, path in labels.items():
    yield found[frame], path


def by_path(predictions: pathlib.Path, truth: pathlib.Path) -> list[Pair]:
  """Returns (prediction, label file) of the same path below their folders.

  The path counts without ending. If it does not fit for all, file names alone
  count, which must then be different in all folders.

  Args:
    predictions: folder of label files.
    truth: folder of label files; each must have a prediction.
  """
  labels, found = _files(truth, _ENDINGS), _files(predictions, _ENDINGS)
  if not labels:
    raise FileNotFoundError(f'{truth}: expected PNG files, found none')
  path_of = lambda folder, file: file.relative_to(folder).with_suffix('')
  known = _unique({file: path_of(predictions, file) for file in found})
  wanted = _unique({file: path_of(truth, file) for file in labels})
  if not set(wanted) <= set(known):
    missing = next(path for path in wanted if path not in known)
    known = _unique({file: file.stem for file in found})
    wanted = _unique({file: file.stem for file in labels})
    absent = [name for name in wanted if name not in known]
    if absent:
      raise FileNotFoundError(
        f'{predictions}: expected a prediction for each of {len(wanted)} label '
        f'files, found none for {wanted[absent[0]]} ({missing} or '
        f'{absent[0]}; {len(absent)} are missing, {len(found)} files are there)'
      )
    logging.info('predictions and labels are paired by file name alone')
  for folder in (predictions, truth):
    _tell_others(folder)
  _tell(predictions, len(wanted), len(known))
  return [(known[name], file) for name, file in wanted.items()]


def _tell(predictions: pathlib.Path, scored: int, found: int) -> None:
  """Logs how many files are compared, and how many are not."""
  logging.info('scored: %s', words.counted(scored, 'label file'))
  if found > scored:
    logging.warning(
      '%s: not scored: %s without a label file',
      predictions,
      words.counted(found - scored, 'prediction'),
    )


def _tell_others(folder: pathlib.Path) -> None:
  """Logs image files that are no label files by their endings."""
  others = [
    path
    for path in file_tree.find(folder).files
    if path.suffix.lower() not in _ENDINGS
  ]
  if others:
    logging.warning(
      '%s: not compared: %s, such as %s; label files end in %s',
      folder,
      words.counted(len(others), 'file'),
      others[0].name,
      ', '.join(_ENDINGS),
    )


def _files(
  folder: pathlib.Path, endings: tuple[str, ...]
) -> tuple[pathlib.Path, ...]:
  """Returns all files below a folder, linked folders included."""
  if not folder.is_dir():
    raise FileNotFoundError(f'{folder}: expected a folder, found none')
  found = file_tree.find(folder, endings)
  skipped = listing.passed_over(found.hidden, found.empty)
  if skipped:
    logging.warning('%s: %s', folder, skipped)
  return found.files


def _frame(path: pathlib.Path) -> str:
  """Returns city, sequence and frame: the first three parts of a name."""
  return '_'.join(path.stem.split('_')[:3])


def _frames(
  files: tuple[pathlib.Path, ...], kind: str
) -> dict[str, pathlib.Path]:
  found: dict[str, pathlib.Path] = {}
  for path in files:
    other = found.setdefault(_frame(path), path)
    if other != path:
      raise ValueError(
        f'expected one {kind} for {_frame(path)}, got {other} and {path}'
      )
  return found


def _unique(names: dict[pathlib.Path, object]) -> dict[object, pathlib.Path]:
  """Inverts file -> name; two files of one name are an error."""
  found: dict[object, pathlib.Path] = {}
  for file, name in names.items():
    other = found.setdefault(name, file)
    if other != file:
      raise ValueError(
        f'expected files of different names, got {other} and {file}; paths '
        'below the two folders must be the same to tell them apart'
      )
  return found
