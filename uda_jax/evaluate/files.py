"""Scores of label files against label files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
import pathlib
from typing import Any

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

from uda_jax import files as files_lib
from uda_jax import labels as labels_lib
from uda_jax.evaluate import cityscapes as cityscapes_lib
from uda_jax.evaluate import reports

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
    raise ValueError(
      f'{path}: expected a PNG of ids, got a file that cannot be read ({error})'
    ) from error
  if len(bands) != 1 or mode == 'F':
    raise ValueError(
      f'{path}: expected a PNG of one channel that holds ids, '
      f'got {len(bands)} channels of type {mode!r}; colours '
      'cannot be scored'
    )
  return ids.astype(np.int64)


def _frame(path: pathlib.Path) -> str:
  """City, sequence and frame: the first three parts of a name."""
  return '_'.join(path.stem.split('_')[:3])


def _unique(files: list[pathlib.Path], what: str) -> dict[str, pathlib.Path]:
  found = {}
  for path in files:
    other = found.setdefault(_frame(path), path)
    if other != path:
      raise ValueError(
        f'expected one {what} for {_frame(path)}, got {other} and {path}'
      )
  return found


def _pairs(
  predictions: pathlib.Path, truth: pathlib.Path
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
  """Yields (prediction, labels of the same frame)."""
  for folder in (predictions, truth):
    if not folder.is_dir():
      raise FileNotFoundError(f'{folder}: expected a folder, found none')
  labels = _unique(sorted(truth.rglob(f'*{_TRUTH}')), 'label file')
  if not labels:
    raise FileNotFoundError(
      f'{truth}: expected files named *{_TRUTH}, found none'
    )
  found = _unique(sorted(predictions.rglob('*.png')), 'prediction')
  missing = [frame for frame in labels if frame not in found]
  if missing:
    raise FileNotFoundError(
      f'{predictions}: expected a PNG for each of {len(labels)} label files, '
      f'found none named {missing[0]}*.png ({len(missing)} are missing)'
    )
  for frame, path in labels.items():
    yield found[frame], path


def cityscapes(
  predictions: pathlib.Path, truth: pathlib.Path
) -> dict[str, Any]:
  """Scores predictions as the official Cityscapes evaluation does.

  Args:
    predictions: folder of PNGs of label ids, named
      `<city>_<sequence>_<frame>*.png`, anywhere below it.
    truth: folder of `*_gtFine_labelIds.png`, with `*_gtFine_instanceIds.png`
      beside them.

  Returns:
    See `cityscapes.scores`.
  """
  ids = cityscapes_lib.NUM_IDS
  matrix, hits = np.zeros((ids, ids), np.int64), np.zeros((ids, 4))
  for file, label_file in _pairs(predictions, truth):
    prediction, label = read_ids(file), read_ids(label_file)
    instances = read_ids(
      label_file.with_name(label_file.name.replace(_TRUTH, _INSTANCES))
    )
    for path, array in ((label_file, label), (file, prediction)):
      if array.max() >= ids:
        raise ValueError(
          f'{path}: expected label ids 0..{ids - 1}, got '
          f'{array.max()}; are these train ids?'
        )
    if not prediction.shape == label.shape == instances.shape:
      raise ValueError(
        f'{file}: expected the size of {label_file}, '
        f'{label.shape}, got {prediction.shape}'
      )
    matrix += cityscapes_lib.confusion(label, prediction)
    hits += cityscapes_lib.instance_hits(instances, prediction)
  return cityscapes_lib.scores(matrix, hits)


def train_ids(
  predictions: pathlib.Path, truth: pathlib.Path, num_classes: int
) -> np.ndarray:
  """Counts pixels of label files that hold classes 0..C-1, 255 = ignore.

  Args:
    predictions: folder of PNGs, anywhere below it.
    truth: folder of PNGs with the same names (without ending).
    num_classes: C.

  Returns:
    [C, C] int64, rows truth, columns prediction; a predicted 255 on a labelled
    pixel is an error.
  """
  matrix = np.zeros((num_classes, num_classes), np.int64)
  found = {path.stem: path for path in sorted(predictions.rglob('*.png'))}
  files = sorted(truth.rglob('*.png'))
  if not files:
    raise FileNotFoundError(f'{truth}: expected PNG files, found none')
  for label_file in files:
    if label_file.stem not in found:
      raise FileNotFoundError(
        f'{predictions}: expected {label_file.name}, found {len(found)} PNG '
        'files of other names'
      )
    file = found[label_file.stem]
    prediction, label = read_ids(file), read_ids(label_file)
    if prediction.shape != label.shape:
      raise ValueError(
        f'{file}: expected the size of {label_file}, '
        f'{label.shape}, got {prediction.shape}'
      )
    kept = label != labels_lib.IGNORE_LABEL
    for path, ids in ((label_file, label[kept]), (file, prediction[kept])):
      if ids.size and ids.max() >= num_classes:
        raise ValueError(
          f'{path}: expected classes 0..{num_classes - 1} where '
          f'there is a label, got {ids.max()}'
        )
    pair = label[kept] * num_classes + prediction[kept]
    matrix += np.bincount(pair, minlength=num_classes**2).reshape(matrix.shape)
  return matrix


def _official_table(scores: dict[str, Any]) -> str:
  """IoU and iIoU of scored classes and of categories, three decimals."""
  lines = []
  for kind in ('class', 'category'):
    plain, weighted = scores[f'{kind}Scores'], scores[f'{kind}InstScores']
    many = 'Classes' if kind == 'class' else 'Categories'
    lines.append(f'{kind:<16}{"IoU":>8}{"iIoU":>8}')
    lines += [
      f'{name:<16}{plain[name]:8.3f}{weighted[name]:8.3f}'
      for name in plain
      if not np.isnan(plain[name])
    ]
    lines.append(
      f'{"mean":<16}{scores[f"averageScore{many}"]:8.3f}'
      f'{scores[f"averageScoreInst{many}"]:8.3f}\n'
    )
  return '\n'.join(lines)


def _without_nan(tree: Any) -> Any:
  if isinstance(tree, dict):
    return {key: _without_nan(value) for key, value in tree.items()}
  return None if isinstance(tree, float) and np.isnan(tree) else tree


def run(args: argparse.Namespace) -> str:
  """Scores folders of PNG files.

  Args:
    args: of `uda_jax.evaluate.__main__`: `predictions`, `labels`, `ids`,
      `classes`, `out` (a JSON file to write, or None).

  Returns:
    The table.
  """
  if args.ids == 'cityscapes':
    scores = cityscapes(args.predictions, args.labels)
    table = _official_table(scores)
  else:
    names = args.classes or labels_lib.CITYSCAPES_CLASSES
    matrix = train_ids(args.predictions, args.labels, len(names))
    scores = reports.report(matrix, names, {reports.ALL: range(len(names))})
    table = reports.format_table({'predictions': scores})
  if args.out:
    text = json.dumps(_without_nan(scores), indent=1) + '\n'
    files_lib.write_atomically(args.out, text.encode())
  return table
