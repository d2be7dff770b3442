"""Checks the files of a folder one by one, and keeps what is done.

For each image there is a small JSON file beside the files that were made of it,
named after a hash of what they are made of. A start after a kill, after a
broken file was replaced or after made files were deleted goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import concurrent.futures
import json
import re
from typing import Any, NamedTuple

from absl import logging
from etils import epath
import numpy as np

from uda_jax import cores
from uda_jax import duration
from uda_jax import files
from uda_jax.data import file_hash
from uda_jax.data import folder_labels
from uda_jax.data import image_files
from uda_jax.data import manifest
from uda_jax.data import problems
from uda_jax.data import resized_copies
from uda_jax.data import transforms


class Done(NamedTuple):
  """A prepared image.

  Attributes:
    row: of the manifest.
    label: what the label file holds, None without one.
    sizes: bytes of the files that were made.
  """

  row: manifest.Row
  label: folder_labels.Contents | None
  sizes: dict[str, int]


def rows(
  record: Any,
  sources: Sequence[folder_labels.Source],
  field: str,
  resize: transforms.Spec | None,
  channels: int,
  folder: epath.Path,
) -> Iterator[manifest.Row]:
  """Checks all files, writes labels of train ids, and yields the rows.

  Args:
    record: see `folder_labels.Job`.
    sources: the files.
    field: see `folder_labels.Job`.
    resize: see `folder_labels.Job`.
    channels: see `folder_labels.Job`.
    folder: see `folder_labels.Job`.

  Yields:
    The rows, in the order of `sources`. `manifest.Broken` lists all that is
    wrong, after everything was looked at.
  """
  job = _job(record, field, resize, channels, folder)
  errors, labels = [], folder_labels.Summary(job)
  # Pillow and TensorFlow decode outside the interpreter's lock.
  with concurrent.futures.ThreadPoolExecutor(cores.count()) as pool:
    futures = [pool.submit(_kept, job, source) for source in sources]
    try:
      for source, future in zip(sources, _progress(futures, field)):
        try:
          done = future.result()
        except (ValueError, OSError) as error:
          errors.append(error)
          continue
        if done.label is not None:
          labels.add(source, done.label, done.row.class_pixels)
        if not errors:
          yield done.row
    finally:
      pool.shutdown(cancel_futures=True)
  lines = problems.summarize(errors, record, field)
  if not errors and record.labels:
    lines = list(labels.problems())
  if lines:
    raise manifest.Broken([str(error) for error in errors] or lines, lines)


def share(
  record: Any,
  sources: Sequence[folder_labels.Source],
  field: str,
  resize: transforms.Spec | None,
  channels: int,
  folder: epath.Path,
  index: int,
  count: int,
) -> None:
  """Does a process's part of the files, which `rows` then finds done.

  Args:
    record: see `rows`, as the arguments up to `folder`.
    sources: the files.
    field: of the record.
    resize: size of copies.
    channels: of the images.
    folder: of made files; without effect unless the processes share it.
    index: which process this is.
    count: how many there are.
  """
  job = _job(record, field, resize, channels, folder)
  with concurrent.futures.ThreadPoolExecutor(cores.count()) as pool:
    futures = [
      pool.submit(_kept, job, source) for source in sources[index::count]
    ]
  for future in futures:
    # A file that cannot be used is looked at again by `rows`, which reports it.
    if not isinstance(future.exception(), (ValueError, OSError, type(None))):
      future.result()


def _job(
  record: Any,
  field: str,
  resize: transforms.Spec | None,
  channels: int,
  folder: epath.Path,
) -> folder_labels.Job:
  """Returns what is done to each file; makes the folder for it."""
  title = re.sub('[^a-zA-Z0-9]+', '_', record.name)
  (folder / title).mkdir(parents=True, exist_ok=True)
  return folder_labels.Job(record, field, resize, folder, title, channels)


def _progress(futures: Sequence[Any], field: str) -> Iterator[Any]:
  """Yields the futures, with a line now and then on how far they are."""
  timer = duration.LineTimer()
  for number, future in enumerate(futures):
    concurrent.futures.wait([future])
    if timer.line_is_due():
      done = number + 1
      logging.info(
        '%s: %d of %d files, %.0f a second, ETA %s',
        field,
        done,
        len(futures),
        done / timer.seconds(),
        timer.left(done, len(futures)),
      )
    yield future


def _kept(job: folder_labels.Job, source: folder_labels.Source) -> Done:
  """Returns a prepared image, from an earlier start if it was done then."""
  # What decides a single file: not which other files there are.
  fields = job.record._replace(name='', files=(), skip_last=0, palette=())
  resize = job.resize
  size = resize and [resize.image_size, resize.keep_ratio, resize.resize]
  key = manifest.fingerprint(
    [str(source.image), fields._asdict(), size, source.stamps]
    + ([job.channels] if job.channels != 3 else [])
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
  elif '-' in done.row.file_hash:
    return done
  # Earlier versions wrote none, or one of the bytes alone.
  row = done.row._replace(
    file=str(source.image), file_hash=file_hash.of_files(source.stamps)
  )
  done = done._replace(row=row)
  files.write_atomically(path, json.dumps(_to_json(done)).encode())
  return done


def _to_json(done: Done) -> dict[str, Any]:
  row = done.row._asdict()
  row['class_pixels'] = done.row.class_pixels.tolist()
  label = done.label and done.label._asdict()
  return {'row': row, 'label': label, 'sizes': done.sizes}


def _from_json(values: dict[str, Any]) -> Done:
  row = values['row']
  row['class_pixels'] = np.array(row['class_pixels'], np.int64)
  label = values['label']
  if label is not None:
    # Keys of JSON objects are text.
    number_keys = lambda tree: {int(key): value for key, value in tree.items()}
    label = folder_labels.Contents(
      number_keys(label['ids']), number_keys(label['colors']), label['ignored']
    )
  return Done(manifest.Row(**row), label, values['sizes'])


def _prepare(
  job: folder_labels.Job, source: folder_labels.Source, stem: str
) -> Done:
  """Checks an image and its label; writes the label and a copy if needed."""
  record = job.record
  image = image_files.read_for_training(
    source.image,
    value_range=tuple(record.value_range),
    channels=job.channels,
    field=f'{job.field}.value_range',
  )
  notes = list(_image_notes(record, source, image))
  label = contents = None
  if record.labels:
    label, contents = folder_labels.read(job, source)
    if label.shape != image.size:
      label, note = folder_labels.fit(job, source, label, image)
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
  height, width = image.size if copy is None else copy.shape[:2]
  row = manifest.Row(
    image=str(source.image) if copy is None else f'{stem}_image.png',
    label='' if label is None else f'{stem}.png',
    height=int(height),
    width=int(width),
    class_pixels=counts[: len(record.class_names)].astype(np.int64),
    note='; '.join(notes),
  )
  sizes = {name: manifest.file_size(job.folder / name) for name in made}
  return Done(row, contents, sizes)


def _image_notes(
  record: Any, source: folder_labels.Source, image: image_files.TrainingImage
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
