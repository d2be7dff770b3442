"""The record of which ids label maps hold, written beside predictions.

Train ids (0, 1, ... in the order of the classes) and Cityscapes' label ids
(road is 7) look alike: scored as the other, perfect predictions are all wrong.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

from uda_jax import files

NAME = 'ids.json'
KINDS = ('train', 'cityscapes')


class Record(NamedTuple):
  """Contents of ids.json.

  Attributes:
    ids: 'train' or 'cityscapes' (label ids).
    classes: names of the network's classes, in the order of train ids.
    run: the directory of the run that predicted.
    network: 'student', 'teacher' or 'best'.
    image_size: description of the size at which images were seen.
    step: of the run, at which the network was stored; None: unknown.
  """

  ids: str
  classes: tuple[str, ...]
  run: str = ''
  network: str = ''
  image_size: str = ''
  step: int | None = None


def write(folder: pathlib.Path, record: Record) -> None:
  """Writes ids.json into the folder of label maps."""
  files.write_atomically(folder / NAME, files.to_json(record._asdict()))


def folder_of(predictions: pathlib.Path) -> pathlib.Path:
  """Returns the folder of label maps: `ids` if all outputs were given."""
  inner = predictions / 'ids'
  return inner if (inner / NAME).is_file() else predictions


def read(predictions: pathlib.Path) -> Record | None:
  """Reads ids.json in a folder or the one above it; None if there is none."""
  for folder in (predictions, predictions.parent):
    path = folder / NAME
    if not path.is_file():
      continue
    try:
      values: dict[str, Any] = json.loads(path.read_text())
      record = Record(**values)._replace(classes=tuple(values['classes']))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
      raise ValueError(
        f'{path}: expected the record that predict writes beside its label '
        f'maps, got {error!r}'
      ) from error
    if record.ids not in KINDS:
      raise ValueError(
        f'{path}: expected ids of one of {KINDS}, got {record.ids!r}'
      )
    return record
  return None
