"""Scores label files against label files.

  python -m uda_jax.evaluate --predictions=DIR --labels=DIR
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from typing import Any

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

from uda_jax import cityscapes_score

_TRUTH = '_gtFine_labelIds.png'
_INSTANCES = '_gtFine_instanceIds.png'


def read_ids(path: pathlib.Path) -> np.ndarray:
  """Reads a PNG of one channel: [H, W] int64 ids."""
  try:
    with Image.open(path) as image:
      image.load()
      bands, mode = image.getbands(), image.mode
      ids = np.asarray(image)
  except (UnidentifiedImageError, SyntaxError, OSError) as error:
    raise ValueError(f'{path}: expected a PNG of ids, got a file that cannot '
                     f'be read ({error})') from error
  if len(bands) != 1 or mode == 'F':
    raise ValueError(f'{path}: expected a PNG of one channel that holds ids, '
                     f'got {len(bands)} channels of type {mode!r}; colours '
                     'cannot be scored')
  return ids.astype(np.int64)


def _frame(path: pathlib.Path) -> str:
  """City, sequence and frame: the first three parts of a name."""
  return '_'.join(path.stem.split('_')[:3])


def _unique(files: list[pathlib.Path], what: str) -> dict[str, pathlib.Path]:
  found = {}
  for path in files:
    other = found.setdefault(_frame(path), path)
    if other != path:
      raise ValueError(f'expected one {what} for {_frame(path)}, got {other} '
                       f'and {path}')
  return found


def _pairs(predictions: pathlib.Path, truth: pathlib.Path
           ) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
  """Yields (prediction, labels of the same frame)."""
  for folder in (predictions, truth):
    if not folder.is_dir():
      raise FileNotFoundError(f'{folder}: expected a folder, found none')
  labels = _unique(sorted(truth.rglob(f'*{_TRUTH}')), 'label file')
  if not labels:
    raise FileNotFoundError(f'{truth}: expected files named *{_TRUTH}, found '
                            'none')
  found = _unique(sorted(predictions.rglob('*.png')), 'prediction')
  missing = [frame for frame in labels if frame not in found]
  if missing:
    raise FileNotFoundError(
        f'{predictions}: expected a PNG for each of {len(labels)} label files, '
        f'found none named {missing[0]}*.png ({len(missing)} are missing)')
  for frame, path in labels.items():
    yield found[frame], path


def cityscapes(predictions: pathlib.Path, truth: pathlib.Path
               ) -> dict[str, Any]:
  """Scores predictions as the official Cityscapes evaluation does.

  Args:
    predictions: folder of PNGs of label ids, named
      `<city>_<sequence>_<frame>*.png`, anywhere below it.
    truth: folder of `*_gtFine_labelIds.png`, with `*_gtFine_instanceIds.png`
      beside them.

  Returns:
    See `cityscapes_score.scores`.
  """
  ids = cityscapes_score.NUM_IDS
  matrix, hits = np.zeros((ids, ids), np.int64), np.zeros((ids, 4))
  for file, label_file in _pairs(predictions, truth):
    prediction, label = read_ids(file), read_ids(label_file)
    instances = read_ids(label_file.with_name(
        label_file.name.replace(_TRUTH, _INSTANCES)))
    for path, array in ((label_file, label), (file, prediction)):
      if array.max() >= ids:
        raise ValueError(f'{path}: expected label ids 0..{ids - 1}, got '
                         f'{array.max()}; are these train ids?')
    if not prediction.shape == label.shape == instances.shape:
      raise ValueError(f'{file}: expected the size of {label_file}, '
                       f'{label.shape}, got {prediction.shape}')
    matrix += cityscapes_score.confusion(label, prediction)
    hits += cityscapes_score.instance_hits(instances, prediction)
  return cityscapes_score.scores(matrix, hits)
