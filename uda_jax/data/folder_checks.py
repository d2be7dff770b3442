"""The files of a folder, checked one by one; what is done is kept.

For each image there is a small JSON file beside the label that was made of it,
named after what both are made of. A start after a kill, or after a broken file
was replaced, goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import concurrent.futures
import datetime
import functools
import json
import os
import re
import time
from typing import Any, NamedTuple

from absl import logging
from etils import epath
import numpy as np
import tensorflow as tf

from uda_jax import files
from uda_jax import labels as labels_lib
from uda_jax.data import image_files
from uda_jax.data import manifest
from uda_jax.data import transforms

_IGNORE = labels_lib.IGNORE_LABEL
_SECONDS_BETWEEN_LINES = 5.0


class Source(NamedTuple):
  """Where an image of a data set comes from.

  Attributes:
    name: what the * of the patterns stand for.
    image: its file.
    label: its label file, None if there is none or none is wanted.
    stamps: of these files: paths, sizes, times.
  """

  name: str
  image: epath.Path
  label: epath.Path | None
  stamps: list[tuple[str, int, float]]


def rows(
  record: Any,
  sources: Sequence[Source],
  field: str,
  resize: transforms.Spec | None,
  folder: epath.Path,
) -> Iterator[manifest.Row]:
  """Checks all files, writes labels of train ids, and yields the rows.

  Args:
    record: a `folders.FolderRecord`, without `labels` if none are wanted.
    sources: the files.
    field: the config field that holds the record, for messages.
    resize: the size of copies that are made of the images, None for none.
    folder: for the files that are made, those of other data sets among them.

  Yields:
    The rows, in the order of `sources`. `manifest.Broken` lists all that is
    wrong, after everything was looked at.
  """
  title = re.sub('[^a-zA-Z0-9]+', '_', record.name)
  (folder / title).mkdir(parents=True, exist_ok=True)
  one = functools.partial(_kept_row, record, field, resize, folder, title)
  problems = []
  # Pillow and TensorFlow decode outside the interpreter's lock.
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    futures = [pool.submit(one, source) for source in sources]
    try:
      for future in _progress(futures, field):
        try:
          row = future.result()
        except (ValueError, OSError) as error:
          problems.append(str(error))
          continue
        if not problems:
          yield row
    finally:
      pool.shutdown(cancel_futures=True)
  if problems:
    raise manifest.Broken(problems)


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
        datetime.timedelta(seconds=round(left)),
      )
    yield future


def _kept_row(
  record: Any,
  field: str,
  resize: transforms.Spec | None,
  folder: epath.Path,
  title: str,
  source: Source,
) -> manifest.Row:
  """Returns the row of an image, from an earlier start if it was done then."""
  # What decides a single file: not which other files there are.
  fields = record._replace(name='', files=(), skip_last=0, palette=())
  size = resize and [resize.image_size, resize.keep_ratio, resize.resize]
  key = manifest.fingerprint(
    [str(source.image), fields._asdict(), size, source.stamps]
  )
  done = folder / title / f'{key}.json'
  try:
    values = json.loads(done.read_text())
  except (FileNotFoundError, ValueError):
    row = _row(record, field, resize, folder, f'{title}/{key}', source)
    values = row._asdict() | {'class_pixels': row.class_pixels.tolist()}
    files.write_atomically(done, json.dumps(values).encode())
  values['class_pixels'] = np.array(values['class_pixels'], np.int64)
  return manifest.Row(**values)


def _row(
  record: Any,
  field: str,
  resize: transforms.Spec | None,
  folder: epath.Path,
  stem: str,
  source: Source,
) -> manifest.Row:
  """Checks an image and its label; writes the label, and a smaller copy."""
  size = image_files.image_size(source.image)
  counts, notes, label = np.zeros(len(record.class_names), np.int64), [], None
  published = tuple(record.published_size)
  if any(published) and size != published:
    notes.append(
      f'{source.image}: {size[0]} x {size[1]}, published are '
      f'{published[0]} x {published[1]}'
    )
  if record.labels:
    label = _label(record, field, source)
    if label.shape != size:
      notes.append(
        f'{source.label}: {label.shape[0]} x {label.shape[1]}, '
        f'brought to the {size[0]} x {size[1]} of its image'
      )
      label = _fit(label, size, source, field, record.resize_labels)
    counts += np.bincount(label.ravel(), minlength=256)[: counts.size]
  image, path = str(source.image), f'{stem}.png' if record.labels else ''
  full = size
  if resize is not None:
    full = tuple(transforms.resized_size(size, resize).numpy().tolist())
  if full != size:
    image = f'{stem}_image.png'
    label = _write_copy(
      folder / image, source, label, size, full, resize, field
    )
  if label is not None:
    image_files.write_label(folder / path, label)
  return manifest.Row(image, path, *full, counts, '; '.join(notes))


def _label(record: Any, field: str, source: Source) -> np.ndarray:
  """Reads the label of an image: [H, W] uint8 train ids."""
  if source.label is None:
    raise FileNotFoundError(
      f'{field}.labels: found no label named {source.name!r} for '
      f'{source.image} among the files {record.labels!r}; the * of images '
      'and labels must stand for the same text'
    )
  if record.label_colors:
    return color_ids(
      image_files.read_rgb(source.label), record, path=source.label, field=field
    )
  raw = image_files.read_label(source.label, channel=record.label_channel)
  return train_ids(raw, record, path=source.label, field=field)


def _fit(
  label: np.ndarray,
  size: tuple[int, int],
  source: Source,
  field: str,
  allowed: bool,
) -> np.ndarray:
  """Brings a label to the size of its image."""
  if not allowed:
    raise ValueError(
      f'{source.label}: expected the size of its image {source.image}, '
      f'{size[0]} x {size[1]} (height x width), got {label.shape[0]} x '
      f'{label.shape[1]}; set {field}.resize_labels=True to bring labels to '
      'the size of their images'
    )
  rows, columns = (np.arange(n) * m // n for n, m in zip(size, label.shape))
  return label[rows[:, None], columns]


def _write_copy(
  path: epath.Path,
  source: Source,
  label: np.ndarray | None,
  size: tuple[int, int],
  full: tuple[int, int],
  resize: transforms.Spec,
  field: str,
) -> np.ndarray | None:
  """Writes the resized image as training would see it; returns the label."""
  if any(f > s for f, s in zip(full, size)):
    raise ValueError(
      f'config.data.resized_copies: expected images that shrink, got '
      f'{source.image} of {size}, which config.data.'
      f'{field.split(".")[-1]}_image_size makes {full}; such copies are '
      'slower to read: set config.data.resized_copies=False'
    )
  window = transforms.Window(
    tf.zeros(2, tf.int32), tf.constant(full), tf.constant(full)
  )
  image = transforms.read_image(str(source.image))
  image_files.write_image(
    path, transforms.cut_image(image, window, resize.resize).numpy()
  )
  if label is None:
    return None
  return transforms.cut_label(tf.constant(label), window, resize.resize).numpy()


def train_ids(
  raw: np.ndarray, record: Any, *, path: os.PathLike, field: str
) -> np.ndarray:
  """Maps raw class ids to train ids.

  Args:
    raw: [H, W] integers, 0 or more.
    record: whose `label_map` and `ignore_ids` count.
    path: the file, for messages.
    field: the config field that holds the record, for messages.

  Returns:
    [H, W] uint8, 255 = ignore. An id that the record does not know is an error.
  """
  classes = len(record.class_names)
  known = dict.fromkeys(record.ignore_ids, _IGNORE)
  known.update(record.label_map or ((i, i) for i in range(classes)))
  counts = np.bincount(raw.ravel())
  unknown = [int(i) for i in np.flatnonzero(counts) if i not in known]
  if unknown:
    first = unknown[0]
    raise ValueError(
      f'{path}: expected the ids of {field} '
      f'({"label_map" if record.label_map else "class_names"}: '
      f'{sorted(known)}), got {first} in {counts[first]} pixels'
      + (f' (and also {unknown[1:]})' if unknown[1:] else '')
      + f'; add ({first}, train id) to {field}.label_map, or {first} to '
      f'{field}.ignore_ids'
    )
  table = np.full(counts.size, _IGNORE, np.uint8)
  for value, train_id in known.items():
    if 0 <= value < counts.size:
      table[value] = train_id
  return table[raw]


def color_ids(
  pixels: np.ndarray, record: Any, *, path: os.PathLike, field: str
) -> np.ndarray:
  """Maps colours to train ids.

  Args:
    pixels: [H, W, 3] uint8.
    record: whose `label_colors` count.
    path: the file, for messages.
    field: the config field that holds the record, for messages.

  Returns:
    [H, W] uint8, 255 = ignore. A colour that the record lacks is an error.
  """
  pack = lambda rgb: rgb @ np.array([1 << 16, 1 << 8, 1], np.int32)
  packed = pack(pixels.astype(np.int32))
  label = np.full(packed.shape, _IGNORE, np.uint8)
  unknown = np.ones(packed.shape, bool)
  for color, train_id in record.label_colors:
    here = packed == pack(np.array(color, np.int32))
    label[here], unknown[here] = train_id, False
  if unknown.any():
    color = tuple(pixels[unknown][0].tolist())
    raise ValueError(
      f'{path}: expected the colours of {field}.label_colors, got {color} '
      f'(in all {unknown.sum()} pixels of other colours); add ({color}, '
      'train id) to it, train id 255 to ignore the colour'
    )
  return label
