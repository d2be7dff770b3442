"""Scores of label files against label files."""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

from absl import logging
import numpy as np

from uda_jax import files as files_lib
from uda_jax import labels as labels_lib
from uda_jax.data import label_files
from uda_jax.data import label_ids as data_ids
from uda_jax.evaluate import cityscapes as cityscapes_lib
from uda_jax.evaluate import label_ids
from uda_jax.evaluate import label_pairs
from uda_jax.evaluate import metrics
from uda_jax.evaluate import reports

_INSTANCES = '_gtFine_instanceIds.png'
# Train ids of Cityscapes are below.
_TRAIN_IDS = 19
_MOST_CLASSES = 255
_NO_CLASS = '; 255 is no class: save masks of 0 and 255 as 0 and 1, labels, too'


def read_ids(path: pathlib.Path) -> np.ndarray:
  """Reads a label file of one channel: [H, W] int64 ids."""
  return label_files.read_label(path).astype(np.int64)


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
  for file, label_file in label_pairs.cityscapes(predictions, truth):
    prediction, label = read_ids(file), read_ids(label_file)
    instances = read_ids(
      label_file.with_name(
        label_file.name.replace(label_pairs.TRUTH, _INSTANCES)
      )
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
  _check_label_ids(matrix, predictions)
  return cityscapes_lib.scores(matrix, hits)


def _check_label_ids(matrix: np.ndarray, predictions: pathlib.Path) -> None:
  """Raises if predictions look like train ids.

  Networks predict the 19 classes that are scored, whose label ids are 7 to 33;
  as train ids they are 0 to 18.
  """
  predicted = matrix.sum(0)
  present = np.flatnonzero(predicted)
  scored = predicted[list(labels_lib.CITYSCAPES_IDS)].sum()
  if present.max(initial=0) < _TRAIN_IDS and 2 * scored < predicted.sum():
    raise ValueError(
      f'{predictions}: expected label ids (7, 8, 11, ... 33), got '
      f'{present.tolist()}, which look like train ids; predict with '
      '--ids=cityscapes, or score train ids against train ids by --ids=train'
    )


def train_ids(
  predictions: pathlib.Path, truth: pathlib.Path, num_classes: int
) -> np.ndarray:
  """Counts pixels of label files that hold classes 0..C-1, 255 = ignore.

  Args:
    predictions: folder of PNGs, anywhere below it.
    truth: folder of PNGs with the same paths, see `label_pairs.by_path`.
    num_classes: C.

  Returns:
    [C, C] int64, rows truth, columns prediction; a predicted 255 on a labeled
    pixel is an error.
  """
  matrix = np.zeros((num_classes, num_classes), np.int64)
  ignored = 0
  predicted: dict[int, tuple[int, ...]] = {}
  true: dict[int, tuple[int, ...]] = {}
  for file, label_file in label_pairs.by_path(predictions, truth):
    prediction, label = _read(file, predicted), _read(label_file, true)
    if prediction.shape != label.shape:
      raise ValueError(
        f'{file}: expected the size of {label_file}, '
        f'{label.shape}, got {prediction.shape}'
      )
    kept = label != labels_lib.IGNORE_LABEL
    for path, ids in ((label_file, label[kept]), (file, prediction[kept])):
      if ids.size and not 0 <= ids.min() <= ids.max() < num_classes:
        raise ValueError(
          f'{path}: expected classes 0..{num_classes - 1} where '
          f'there is a label, got {ids.min()} to {ids.max()}'
          + (_NO_CLASS if ids.max() == labels_lib.IGNORE_LABEL else '')
        )
    ignored += label.size - kept.sum()
    matrix += metrics.count_pairs(
      label[kept], prediction[kept], num_classes=num_classes
    )
  _check_scored(matrix, ignored, truth)
  _check_palettes(predictions, predicted, true)
  return matrix


def _check_scored(
  matrix: np.ndarray, ignored: int, truth: pathlib.Path
) -> None:
  """Raises if there is nothing to score, as 255 is ignored."""
  there = np.flatnonzero(matrix.sum(1)).tolist()
  if not there:
    raise ValueError(
      f'{truth}: expected label files with classes 0, 1, ..., got 255 (ignore) '
      'alone, so there is nothing to score'
    )
  # Of many classes, a few images may hold one alone.
  if there == [0] and ignored and len(matrix) in (2, _MOST_CLASSES):
    raise ValueError(
      f'{truth}: expected label files with classes 0, 1, ..., got 0 and 255 '
      'alone, and 255 is ignored; if it is a class, save it as 1, in '
      'predictions, too'
    )


def _read(path: pathlib.Path, colors: dict[int, tuple[int, ...]]) -> np.ndarray:
  """Returns [H, W] int64 ids; adds the colors of classes, of a palette."""
  ids, palette = label_files.read_label_and_palette(path)
  if palette is not None:
    shown = data_ids.used_colors(data_ids.count_ids(ids), palette)
    shown.pop(labels_lib.IGNORE_LABEL, None)
    colors.update(shown | colors)
  return ids.astype(np.int64)


def _check_palettes(
  predictions: pathlib.Path,
  predicted: dict[int, tuple[int, ...]],
  true: dict[int, tuple[int, ...]],
) -> None:
  """Raises if palettes show classes in each other's colors."""
  found = data_ids.swapped(true, predicted)
  if found:
    color, value, other = found
    raise ValueError(
      f'{predictions}: expected the palette of the label files, where '
      f'{color} is id {value}, got it as id {other}; save both with the same '
      'ids, as gray PNG files if the ids are right'
    )


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
  """Scores folders of label files.

  Args:
    args: of `uda_jax.evaluate.__main__`: `predictions`, `labels`, `ids`,
      `classes`, `out` (a JSON file to write, or None).

  Returns:
    The table.
  """
  for folder in (args.predictions, args.labels):
    if not folder.is_dir():
      raise FileNotFoundError(f'{folder}: expected a folder, found none')
  predictions = label_ids.folder_of(args.predictions)
  record = label_ids.read(predictions)
  if _kind(args, record) == 'cityscapes':
    scores = cityscapes(predictions, args.labels)
    table = _official_table(scores)
  else:
    names = _class_names(args, record)
    # As many classes as a byte holds, if nobody says how many there are.
    matrix = train_ids(predictions, args.labels, len(names) or _MOST_CLASSES)
    names = names or _numbers(matrix)
    matrix = matrix[: len(names), : len(names)]
    scores = reports.report(matrix, names, {reports.ALL: range(len(names))})
    table = reports.format_table({'predictions': scores})
  if args.out:
    text = json.dumps(_without_nan(scores), indent=1) + '\n'
    files_lib.write_atomically(args.out, text.encode())
  return table


def _kind(args: argparse.Namespace, record: label_ids.Record | None) -> str:
  """Returns which ids to score; raises if ids.json says others."""
  kind = args.ids or 'cityscapes'
  if record is None:
    logging.info(
      '%s: no %s there; taken as %s',
      args.predictions,
      label_ids.NAME,
      'label ids of Cityscapes' if kind == 'cityscapes' else 'train ids',
    )
  elif record.ids != kind:
    if not args.ids and not any(args.labels.rglob(f'*{label_pairs.TRUTH}')):
      return record.ids
    raise ValueError(
      f'{args.predictions}: expected {kind} ids, got {record.ids} ids '
      f'({label_ids.NAME}); predict with --ids={kind}, or score with '
      f'--ids={record.ids} against such label files'
    )
  return kind


def _class_names(
  args: argparse.Namespace, record: label_ids.Record | None
) -> tuple[str, ...]:
  """Returns the names of the classes, () if nobody says."""
  if args.classes and record and tuple(args.classes) != record.classes:
    raise ValueError(
      f'--classes: expected those of the predictions, {record.classes} '
      f'({label_ids.NAME}), got {tuple(args.classes)}'
    )
  return tuple(args.classes or (record.classes if record else ()))


def _numbers(matrix: np.ndarray) -> tuple[str, ...]:
  """Returns the numbers of the classes up to the last that occurs, as names."""
  there = np.flatnonzero(matrix.sum(0) + matrix.sum(1))
  logging.warning(
    'classes are numbered, as nobody says their names; --classes=NAME,... does'
  )
  return tuple(map(str, range(there.max(initial=0) + 1)))
