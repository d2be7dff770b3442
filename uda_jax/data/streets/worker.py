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
    image, label = render.render(
      seed, first + number, size=tuple(image_size), style=style
    )
    counts = np.zeros(len(render.CLASSES), np.int64)
    _save(image, pathlib.Path(folder, 'images', f'{number:06d}.png'))
    if labels:
      _save(label, pathlib.Path(folder, 'labels', f'{number:06d}.png'))
      counts += np.bincount(label.ravel(), minlength=256)[: counts.size]
    print(json.dumps(counts.tolist()), flush=True)


def _save(pixels: np.ndarray, path: pathlib.Path) -> None:
  # Another run may read the very same file in the meantime.
  with files.replacing(path) as unfinished:
    Image.fromarray(pixels).save(unfinished, compress_level=1)


if __name__ == '__main__':
  run(*json.loads(sys.argv[1]))
