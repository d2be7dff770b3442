"""Checks the files of a folder one by one, and keeps what is done.

For each image there is a small JSON file beside the files that were made of it,
named after a hash of what they are made of. A start after a kill, after a
broken file was replaced or after made files were deleted goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
import concurrent.futures
import json
import os
import re
import time
from typing import Any, NamedTuple

from absl import logging
from etils import epath
import numpy as np

from uda_jax import duration
from uda_jax import files
from uda_jax import labels as labels_lib
from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import label_ids
from uda_jax.data import manifest
from uda_jax.data import problems
from uda_jax.data import resized_copies
from uda_jax.data import transforms

_IGNORE = labels_lib.IGNORE_LABEL
_SECONDS_BETWEEN_LINES = 5.0


class Source(NamedTuple):
  """Where an image of a data set comes from.

  Attributes:
    name: what the * of the patterns stand for.
    image: its file.
    label: its label file, None if there is none or none is wanted.
    stamps: paths, sizes and times of change of these files.
  """

  name: str
  image: epath.Path
  label: epath.Path | None
  stamps: list[tuple[str, int, int]]


class Job(NamedTuple):
  """What all images of a data set share while they are prepared.

  Attributes:
    record: a `folder_record.FolderRecord`, without `labels` if none are wanted.
    field: the config field that holds the record, for messages.
    resize: the size of copies that are made of the images, None for none.
    folder: for the files that are made, those of other data sets among them.
    title: of the data set's own folder in it.
  """

  record: Any
  field: str
  resize: transforms.Spec | None
  folder: epath.Path
  title: str


class Done(NamedTuple):
  """A prepared image.

  Attributes:
    row: of the manifest.
    ids: raw id -> number of pixels of the label file; empty for colors.
    colors: id -> color of the label's palette; empty if it has none.
    ignored: pixels of label 255.
    sizes: bytes of the files that were made.
  """

  row: manifest.Row
  ids: dict[int, int]
  colors: dict[int, tuple[int, ...]]
  ignored: int
  sizes: dict[str, int]


def rows(
  record: Any,
  sources: Sequence[Source],
  field: str,
  resize: transforms.Spec | None,
  folder: epath.Path,
) -> Iterator[manifest.Row]:
  """Checks all files, writes labels of train ids, and yields the rows.

  Args:
    record: see `Job`.
    sources: the files.
    field: see `Job`.
    resize: see `Job`.
    folder: see `Job`.

  Yields:
    The rows, in the order of `sources`. `manifest.Broken` lists all that is
    wrong, after everything was looked at.
  """
  title = re.sub('[^a-zA-Z0-9]+', '_', record.name)
  (folder / title).mkdir(parents=True, exist_ok=True)
  job = Job(record, field, resize, folder, title)
  errors, labels = [], _LabelSummary(job)
  # Pillow and TensorFlow decode outside the interpreter's lock.
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    futures = [pool.submit(_kept, job, source) for source in sources]
    try:
      for source, future in zip(sources, _progress(futures, field)):
        try:
          done = future.result()
        except (ValueError, OSError) as error:
          errors.append(error)
          continue
        labels.add(source, done)
        if not errors:
          yield done.row
    finally:
      pool.shutdown(cancel_futures=True)
  lines = problems.summarize(errors, record, field)
  if not errors and record.labels:
    lines = list(labels.problems())
  if lines:
    raise manifest.Broken([str(error) for error in errors] or lines, lines)


class _LabelSummary:
  """Collects what the labels of a whole data set hold."""

  def __init__(self, job: Job):
    self._job = job
    self._ids: Counter = Counter()
    self._classes = np.zeros(len(job.record.class_names), np.int64)
    self._ignored = 0
    self._colors: dict[int, tuple[str, dict]] = {}
    self._conflict = ''

  def add(self, source: Source, done: Done) -> None:
    """Adds a prepared image."""
    self._ids.update(done.ids)
    self._classes += done.row.class_pixels
    self._ignored += done.ignored
    here = (str(source.label), done.colors)
    for value in done.colors:
      seen = self._colors.setdefault(value, here)
      self._conflict = self._conflict or problems.palette_conflict(
        seen, here, self._job.field
      )

  def problems(self) -> Iterator[str]:
    """Yields what is wrong with the labels as a whole."""
    if self._conflict:
      yield self._conflict
    yield from problems.of_all_labels(
      self._job.record, self._job.field, self._ids, self._classes, self._ignored
    )


def _progress(futures: Sequence[Any], field: str) -> Iterator[Any]:
  """Yields the futures, with a line now and then on how far they are."""
  start = last = time.monotonic()
  for number, future in enumerate(futures):
    concurrent.futures.wait([future])
    now = time.monotonic()
    if now > last + _SECONDS_BETWEEN_LINES:
      last, done = now, number + 1
      left = (now - start) / done * (len(futures) - done)
      logging.info(
        '%s: %d of %d files, %.0f a second, ETA %s',
        field,
        done,
        len(futures),
        done / (now - start),
        duration.text(left),
      )
    yield future


def _kept(job: Job, source: Source) -> Done:
  """Returns a prepared image, from an earlier start if it was done then."""
  # What decides a single file: not which other files there are.
  fields = job.record._replace(name='', files=(), skip_last=0, palette=())
  resize = job.resize
  size = resize and [resize.image_size, resize.keep_ratio, resize.resize]
  key = manifest.fingerprint(
    [str(source.image), fields._asdict(), size, source.stamps]
  )
  path = job.folder / job.title / f'{key}.json'
  try:
    done = _from_json(json.loads(path.read_text()))
  except (FileNotFoundError, ValueError, KeyError, TypeError):
    done = None
  if done is None or any(
    manifest.file_size(job.folder / name) != size
    for name, size in done.sizes.items()
  ):
    done = _prepare(job, source, f'{job.title}/{key}')
    files.write_atomically(path, json.dumps(_to_json(done)).encode())
  return done


def _to_json(done: Done) -> dict[str, Any]:
  row = done.row._asdict()
  row['class_pixels'] = done.row.class_pixels.tolist()
  return done._asdict() | {'row': row}


def _from_json(values: dict[str, Any]) -> Done:
  row = values['row']
  row['class_pixels'] = np.array(row['class_pixels'], np.int64)
  numbers = lambda tree: {int(key): value for key, value in tree.items()}
  return Done(
    manifest.Row(**row),
    numbers(values['ids']),
    numbers(values['colors']),
    values['ignored'],
    values['sizes'],
  )


def _prepare(job: Job, source: Source, stem: str) -> Done:
  """Checks an image and its label; writes the label and a copy if needed."""
  record = job.record
  image = image_files.read_for_training(
    source.image,
    value_range=tuple(record.value_range),
    field=f'{job.field}.value_range',
  )
  notes = list(_image_notes(record, source, image))
  label, ids, colors = None, {}, {}
  if record.labels:
    label, ids, colors = _label(job, source)
    if label.shape != image.size:
      label, note = _fit(job, source, label, image)
      notes.append(note)
  counts = np.bincount(
    np.zeros(0, int) if label is None else label.ravel(), minlength=256
  )
  made = {}
  copy, label = resized_copies.make(job, source, image, label)
  if copy is not None:
    made[f'{stem}_image.png'] = copy
  if label is not None:
    made[f'{stem}.png'] = label
  for name, pixels in made.items():
    image_files.write_image(job.folder / name, pixels)
  size = image.size if copy is None else copy.shape[:2]
  row = manifest.Row(
    str(source.image) if copy is None else f'{stem}_image.png',
    '' if label is None else f'{stem}.png',
    *map(int, size),
    counts[: len(record.class_names)].astype(np.int64),
    '; '.join(notes),
  )
  sizes = {name: manifest.file_size(job.folder / name) for name in made}
  return Done(row, ids, colors, int(counts[_IGNORE]), sizes)


def _image_notes(
  record: Any, source: Source, image: image_files.TrainingImage
) -> Iterator[str]:
  """Yields what is unusual about an image."""
  published = tuple(record.published_size)
  if any(published) and image.size != published:
    yield (
      f'{source.image}: {image.size[0]} x {image.size[1]}, published are '
      f'{published[0]} x {published[1]}'
    )
  if image.clipped:
    yield (
      f'{source.image}: {image.clipped:.2%} of the samples are outside '
      f'value_range={tuple(record.value_range)}'
    )


def _label(
  job: Job, source: Source
) -> tuple[np.ndarray, dict[int, int], dict[int, tuple[int, ...]]]:
  """Reads the label of an image.

  Args:
    job: the data set.
    source: the image.

  Returns:
    [H, W] uint8 train ids; pixels by raw id; color by id of its palette. The
    last two are empty for labels in colors.
  """
  record = job.record
  if source.label is None:
    raise FileNotFoundError(
      f'{job.field}.labels: found no label named {source.name!r} for '
      f'{source.image} among the files {record.labels!r}; the * of images '
      f'and labels must stand for the same text ({job.field}.files can leave '
      'images out)'
    )
  if record.label_colors:
    pixels = label_files.read_colors(source.label)
    return label_ids.color_ids(pixels, record, path=source.label), {}, {}
  raw, palette = label_files.read_label_and_palette(
    source.label, channel=record.label_channel, field=job.field
  )
  counts = label_ids.count_ids(raw)
  label = label_ids.train_ids(raw, record, path=source.label, counts=counts)
  return label, counts, label_ids.used_colors(counts, palette)


def _fit(
  job: Job,
  source: Source,
  label: np.ndarray,
  image: image_files.TrainingImage,
) -> tuple[np.ndarray, str]:
  """Brings a label to the size of its image; returns it and a note."""
  size = image.size
  sizes = (
    f'{source.label}: expected the size of its image {source.image}, '
    f'{size[0]} x {size[1]} (height x width), got {label.shape[0]} x '
    f'{label.shape[1]}'
  )
  if image.turned and label.shape == size[::-1]:
    raise ValueError(
      f'{sizes}; the photo is stored on its side (EXIF orientation) and the '
      'label was drawn over it as it is stored: turn the label as the photo is '
      'turned, or remove the orientation from the photo'
    )
  if not job.record.resize_labels:
    raise ValueError(
      f'{sizes}; set {job.field}.resize_labels=True to bring labels to the '
      'size of their images'
    )
  note = (
    f'{source.label}: {label.shape[0]} x {label.shape[1]}, '
    f'brought to the {size[0]} x {size[1]} of its image'
  )
  rows, columns = (np.arange(n) * m // n for n, m in zip(size, label.shape))
  return label[rows[:, None], columns], note
