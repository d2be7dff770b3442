"""Rendered scenes as a data set: PNG files like any other folder's."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from typing import Any, NamedTuple

from absl import logging
from etils import epath
import numpy as np

from uda_jax import cores
from uda_jax.data import manifest
from uda_jax.data import render_worker
from uda_jax.data import renderers
from uda_jax.data import scenes


class _Job(NamedTuple):
  """A data set to render.

  Attributes:
    kind: one of `renderers.RENDERERS`.
    record: of the kind's type.
    field: the config field that holds the record, for messages.
    labels: whether to write label files.
    folder: for the files.
  """

  kind: str
  record: Any
  field: str
  labels: bool
  folder: epath.Path


def recipe(
  record: Any, *, kind: str, root: str, field: str, labels: bool
) -> manifest.Recipe:
  """Returns how to render a data set.

  Args:
    record: of the kind's type.
    kind: one of `renderers.RENDERERS`.
    root: of data sets in folders.
    field: the config field that holds the record, for messages.
    labels: whether labels are wanted.

  Returns:
    The recipe.
  """
  del root
  renderer = renderers.RENDERERS[kind]
  renderer.check(record, field)
  try:
    image, label = renderer.scene(record, scenes.FIRST_SCENE[record.split])
  except ValueError as error:
    raise ValueError(f'{field}: {error}') from error
  # A renderer that has changed makes other scenes, so other data.
  first_scene = hashlib.sha256(image.tobytes() + label.tobytes())
  contents = [record._asdict(), labels, first_scene.hexdigest()]
  own = manifest.folder_name(record.name, contents)
  job = lambda folder: _Job(kind, record, field, labels, folder / own)
  rows = lambda folder: _rows(job(folder))
  share = lambda folder, index, count: _share(job(folder), index, count)
  return manifest.Recipe(
    record.name,
    renderer.class_names,
    renderer.palette,
    contents,
    rows,
    share=share,
  )


def _share(job: _Job, index: int, count: int) -> None:
  """Renders a process's part of the scenes, which `_rows` then finds done."""
  for _ in _rendered(job, index, count):
    pass


def _rows(job: _Job) -> Iterator[manifest.Row]:
  """Renders the scenes that are not there yet, and yields the rows."""
  known = [
    render_worker.done(str(job.folder), number, job.labels)
    for number in range(job.record.num_images)
  ]
  height, width = job.record.image_size
  for number, counts in enumerate(_rendered(job) if None in known else known):
    place = f'{job.folder.name}/{{}}/{number:06d}.png'.format
    yield manifest.Row(
      place('images'),
      place('labels') if job.labels else '',
      height,
      width,
      np.array(counts, np.int64),
    )


def _rendered(job: _Job, index: int = 0, count: int = 1) -> Iterator[list[int]]:
  """Renders each `count`-th scene, with one process a core.

  Args:
    job: the data set.
    index: the first scene.
    count: of scenes that one is rendered of.

  Yields:
    The pixels of each class, by scene.
  """
  for part in ('images', 'labels')[: 1 + job.labels]:
    (job.folder / part).mkdir(parents=True, exist_ok=True)
  numbers = range(index, job.record.num_images, count)
  workers = _start(job, [numbers[i] for i in _cores(numbers)], count)
  try:
    for place, number in enumerate(numbers):
      printed = workers[place % len(workers)].stdout
      assert printed is not None  # `_start` asks for a pipe
      line = printed.readline()
      if not line:
        raise ChildProcessError(
          f'{job.field}: rendering scene {number} failed, see the messages '
          'above'
        )
      if (place + 1) % 100 == 0:
        logging.info(
          '%s: %d of %d scenes rendered', job.field, place + 1, len(numbers)
        )
      yield json.loads(line)
  finally:
    for worker in workers:
      worker.kill()
      worker.communicate()


def _cores(numbers: range) -> range:
  """Returns a number for each core that has a scene to render."""
  return range(min(cores.count(), len(numbers)))


def _start(job: _Job, firsts: list[int], count: int) -> list[subprocess.Popen]:
  """Starts a worker for each first scene; together they take every `count`-th.

  Processes of their own, as Python threads share one core, forks of a process
  with TensorFlow's threads may hang, and spawned workers would run the caller's
  script once more.
  """
  package = str(pathlib.Path(__file__).parents[2])
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
        render_worker.__name__,
        json.dumps(
          [
            job.kind,
            job.record._asdict(),
            first,
            count * len(firsts),
            job.labels,
            str(job.folder),
          ]
        ),
      ],
      env=environment,
      stdout=subprocess.PIPE,
      text=True,
    )
    for first in firsts
  ]
