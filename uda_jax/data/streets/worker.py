"""Renders a share of a data set of street scenes, in a process of its own.

Imports no TensorFlow, so that a worker starts in a fraction of a second.
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np
from PIL import Image

from uda_jax import files
from uda_jax.data.streets import render


def run(
  first: int,
  count: int,
  worker: int,
  workers: int,
  labels: bool,
  folder: str,
  seed: int,
  gap: tuple[float, float],
  image_size: tuple[int, int],
) -> None:
  """Renders every `workers`-th scene and prints the class counts of each.

  Scenes that are done already are not rendered again.

  Args:
    first: number of the data set's first scene.
    count: how many scenes the data set has.
    worker: which worker this is.
    workers: how many there are.
    labels: whether to write label files.
    folder: has a folder `images`, and `labels` if those are written.
    seed: as in `streets.render`.
    gap: as in `streets.style`.
    image_size: (height, width).
  """
  style = render.style(gap=tuple(gap))
  for number in range(worker, count, workers):
    counts = done(folder, number, labels)
    if counts is None:
      image, label = render.render(
        seed, first + number, size=tuple(image_size), style=style
      )
      found = np.zeros(len(render.CLASSES), np.int64)
      _save(image, _path(folder, 'images', number))
      if labels:
        _save(label, _path(folder, 'labels', number))
        found += np.bincount(label.ravel(), minlength=256)[: found.size]
      counts = found.tolist()
      record = {'sizes': _sizes(folder, number, labels), 'counts': counts}
      files.write_atomically(
        _path(folder, 'done', number, 'json'), json.dumps(record).encode()
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
