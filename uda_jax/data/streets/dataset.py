"""Rendered street scenes as a data set: PNG files like any other folder's."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from absl import logging
from etils import epath
import numpy as np

from uda_jax.data import manifest
from uda_jax.data.streets import record as record_lib
from uda_jax.data.streets import render
from uda_jax.data.streets import worker as worker_lib

StreetsRecord = record_lib.StreetsRecord
_FIRST = record_lib.FIRST_SCENE


def recipe(
  record: StreetsRecord, *, root: str, field: str, labels: bool
) -> manifest.Recipe:
  """Returns how to render a data set; arguments as in `folders.recipe`."""
  del root
  record_lib.check(record, field)
  try:
    image, label = render.render(
      record.seed,
      _FIRST[record.split],
      size=tuple(record.image_size),
      style=render.style(gap=tuple(record.gap)),
    )
  except ValueError as error:
    raise ValueError(f'{field}: {error}') from error
  # A renderer that has changed makes other scenes, so other data.
  first_scene = hashlib.sha256(image.tobytes() + label.tobytes())
  contents = [record._asdict(), labels, first_scene.hexdigest()]
  own = manifest.folder_name(record.name, contents)
  rows = lambda folder: _rows(record, field, labels, folder / own)
  return manifest.Recipe(
    record.name,
    tuple(render.CLASSES),
    tuple(tuple(map(int, color)) for color in render.PALETTE),
    contents,
    rows,
  )


def _rows(
  record: StreetsRecord, field: str, labels: bool, folder: epath.Path
) -> Iterator[manifest.Row]:
  """Renders with one process a core, and yields the rows."""
  for kind in ('images', 'labels')[: 1 + labels]:
    (folder / kind).mkdir(parents=True, exist_ok=True)
  first = _FIRST[record.split]
  cores = min(os.cpu_count(), record.num_images)
  # Processes of their own, as Python threads share one core, forks of a
  # process with TensorFlow's threads may hang, and spawned workers would run
  # the caller's script once more.
  package = str(pathlib.Path(__file__).parents[3])
  environment = os.environ | {
    'PYTHONPATH': os.pathsep.join(
      filter(None, [package, os.environ.get('PYTHONPATH')])
    )
  }
  workers = [
    subprocess.Popen(
      [
        sys.executable,
        '-m',
        worker_lib.__name__,
        json.dumps(
          [
            first,
            record.num_images,
            worker,
            cores,
            labels,
            str(folder),
            record.seed,
            record.gap,
            record.image_size,
          ]
        ),
      ],
      env=environment,
      stdout=subprocess.PIPE,
      text=True,
    )
    for worker in range(cores)
  ]
  try:
    for number in range(record.num_images):
      line = workers[number % cores].stdout.readline()
      if not line:
        raise ChildProcessError(
          f'{field}: rendering scene {number} failed, see the messages above'
        )
      if (number + 1) % 100 == 0:
        logging.info(
          '%s: %d of %d scenes rendered', field, number + 1, record.num_images
        )
      place = f'{folder.name}/{{}}/{number:06d}.png'.format
      yield manifest.Row(
        place('images'),
        place('labels') if labels else '',
        *record.image_size,
        np.array(json.loads(line), np.int64),
      )
  finally:
    for worker in workers:
      worker.kill()
      worker.communicate()
