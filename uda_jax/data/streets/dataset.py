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
  share = lambda folder, index, count: _share(
    record, field, labels, folder / own, index, count
  )
  return manifest.Recipe(
    record.name,
    tuple(render.CLASSES),
    tuple(tuple(map(int, color)) for color in render.PALETTE),
    contents,
    rows,
    share=share,
  )


def _share(
  record: StreetsRecord,
  field: str,
  labels: bool,
  folder: epath.Path,
  index: int,
  count: int,
) -> None:
  """Renders a process's part of the scenes, which `_rows` then finds done."""
  for _ in _rendered(record, field, labels, folder, index, count):
    pass


def _rows(
  record: StreetsRecord, field: str, labels: bool, folder: epath.Path
) -> Iterator[manifest.Row]:
  """Renders the scenes that are not there yet, and yields the rows."""
  known = [
    worker_lib.done(str(folder), number, labels)
    for number in range(record.num_images)
  ]
  if None in known:
    known = _rendered(record, field, labels, folder)
  for number, counts in enumerate(known):
    place = f'{folder.name}/{{}}/{number:06d}.png'.format
    yield manifest.Row(
      place('images'),
      place('labels') if labels else '',
      *record.image_size,
      np.array(counts, np.int64),
    )


def _rendered(
  record: StreetsRecord,
  field: str,
  labels: bool,
  folder: epath.Path,
  index: int = 0,
  count: int = 1,
) -> Iterator[list[int]]:
  """Renders each `count`-th scene, with one process a core.

  Args:
    record: of the data set.
    field: of the record.
    labels: whether to write label files.
    folder: for the files.
    index: the first scene.
    count: of scenes that one is rendered of.

  Yields:
    The pixels of each class, by scene.
  """
  for kind in ('images', 'labels')[: 1 + labels]:
    (folder / kind).mkdir(parents=True, exist_ok=True)
  numbers = range(index, record.num_images, count)
  workers = _start(
    record, labels, folder, [numbers[i] for i in _cores(numbers)], count
  )
  try:
    for place, number in enumerate(numbers):
      line = workers[place % len(workers)].stdout.readline()
      if not line:
        raise ChildProcessError(
          f'{field}: rendering scene {number} failed, see the messages above'
        )
      if (place + 1) % 100 == 0:
        logging.info(
          '%s: %d of %d scenes rendered', field, place + 1, len(numbers)
        )
      yield json.loads(line)
  finally:
    for worker in workers:
      worker.kill()
      worker.communicate()


def _cores(numbers: range) -> range:
  """Returns a number for each core that has a scene to render."""
  return range(min(os.cpu_count() or 1, len(numbers)))


def _start(
  record: StreetsRecord,
  labels: bool,
  folder: epath.Path,
  firsts: list[int],
  count: int,
) -> list[subprocess.Popen]:
  """Starts a worker for each first scene; together they take every `count`-th.

  Processes of their own, as Python threads share one core, forks of a process
  with TensorFlow's threads may hang, and spawned workers would run the caller's
  script once more.
  """
  package = str(pathlib.Path(__file__).parents[3])
  environment = os.environ | {
    'PYTHONPATH': os.pathsep.join(
      filter(None, [package, os.environ.get('PYTHONPATH')])
    )
  }
  return [
    subprocess.Popen(
      [
        sys.executable,
        '-m',
        worker_lib.__name__,
        json.dumps(
          [
            _FIRST[record.split],
            record.num_images,
            first,
            count * len(firsts),
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
    for first in firsts
  ]
