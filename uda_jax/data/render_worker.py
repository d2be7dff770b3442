"""Renders a share of a data set, in a process of its own.

Imports no TensorFlow, so that a worker starts in a fraction of a second.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import numpy as np
from PIL import Image

from uda_jax import files
from uda_jax.data import renderers
from uda_jax.data import scenes


def run(
  kind: str,
  fields: dict[str, Any],
  worker: int,
  workers: int,
  labels: bool,
  folder: str,
) -> None:
  """Renders every `workers`-th scene and prints the class counts of each.

  Scenes that are done already are not rendered again.

  Args:
    kind: one of `renderers.RENDERERS`.
    fields: of the record.
    worker: which worker this is.
    workers: how many there are.
    labels: whether to write label files.
    folder: has a folder `images`, and `labels` if those are written.
  """
  renderer = renderers.RENDERERS[kind]
  record = renderer.record(**fields)
  first = scenes.FIRST_SCENE[record.split]
  for number in range(worker, record.num_images, workers):
    counts = done(folder, number, labels)
    if counts is None:
      image, label = renderer.scene(record, first + number)
      found = np.zeros(len(renderer.class_names), np.int64)
      _save(image, _path(folder, 'images', number))
      if labels:
        _save(label, _path(folder, 'labels', number))
        found += np.bincount(label.ravel(), minlength=256)[: found.size]
      counts = found.tolist()
      written = {'sizes': _sizes(folder, number, labels), 'counts': counts}
      files.write_atomically(
        _path(folder, 'done', number, 'json'), json.dumps(written).encode()
      )
    print(json.dumps(counts), flush=True)


def done(folder: str, number: int, labels: bool) -> list[int] | None:
  """Returns the class counts of a scene that lies there whole, else None."""
  try:
    record = json.loads(_path(folder, 'done', number, 'json').read_text())
    whole = record['sizes'] == _sizes(folder, number, labels)
    return record['counts'] if whole else None
  except (OSError, ValueError, KeyError, TypeError):
    return None


def _sizes(folder: str, number: int, labels: bool) -> list[int]:
  """Returns the bytes of the files of a scene."""
  kinds = ('images', 'labels')[: 1 + labels]
  return [_path(folder, kind, number).stat().st_size for kind in kinds]


def _path(
  folder: str, kind: str, number: int, ending: str = 'png'
) -> pathlib.Path:
  return pathlib.Path(folder, kind, f'{number:06d}.{ending}')


def _save(pixels: np.ndarray, path: pathlib.Path) -> None:
  # Another run may read the very same file in the meantime.
  with files.replacing(path) as unfinished:
    Image.fromarray(pixels).save(unfinished, compress_level=1)


if __name__ == '__main__':
  run(*json.loads(sys.argv[1]))
