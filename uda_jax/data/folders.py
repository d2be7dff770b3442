"""Any folder of images, described by one declarative record."""

from __future__ import annotations

from collections.abc import Iterator
import concurrent.futures
import fnmatch
import functools
import os
import re
from typing import NamedTuple

from absl import logging
from etils import epath
import numpy as np

from uda_jax import labels as labels_lib
from uda_jax.data import image_files
from uda_jax.data import manifest

_IGNORE = labels_lib.IGNORE_LABEL


class FolderRecord(NamedTuple):
  """A data set in a folder.

  Images and labels are paired by what the `*` of their patterns stand for:
  `images/*.jpg` and `labels/*.png` by file name without ending,
  `leftImg8bit/train/*/*_leftImg8bit.png` and
  `gtFine/train/*/*_gtFine_labelIds.png` by 'city/city_000000_000019'. This
  text is the NAME of an image.

  Attributes:
    images: pattern of the image files, relative to the root.
    labels: pattern of the label files, '' if there are none.
    root: folder, absolute or relative to `config.data.root`.
    name: what to call the data set.
    files: which images: () = all of them, sorted by NAME; a tuple of patterns
      of NAMEs; or a text file with one NAME a line, relative to the root, whose
      order counts.
    skip_last: leave out so many images at the end.
    class_names: names of the train ids 0, 1, ...
    palette: one (red, green, blue) a class, () for a standard palette.
    label_map: rows (raw id, train id), 255 = ignore; () if the files hold
      train ids.
    ignore_ids: further raw ids to ignore.
    label_channel: which channel of colour-like label files holds the raw ids
      (SYNTHIA: 0), -1 if label files have one channel.
    resize_labels: bring labels of another size to the size of their image by
      nearest neighbour, instead of refusing them.
  """

  images: str
  class_names: tuple[str, ...]
  labels: str = ''
  root: str = ''
  name: str = 'folder'
  files: str | tuple[str, ...] = ()
  skip_last: int = 0
  palette: tuple[tuple[int, int, int], ...] = ()
  label_map: tuple[tuple[int, int], ...] = ()
  ignore_ids: tuple[int, ...] = (_IGNORE,)
  label_channel: int = -1
  resize_labels: bool = False


def recipe(record: FolderRecord, *, root: str, field: str,
           labels: bool) -> manifest.Recipe:
  """Lists the files of a folder, and says how to prepare it.

  Args:
    record: the data set.
    root: `config.data.root`.
    field: the config field that holds the record, for messages.
    labels: whether labels are wanted; if not, no label file is looked for.

  Returns:
    The recipe; nothing is decoded before its rows are asked for.
  """
  _check_record(record, field)
  if not labels:
    record = record._replace(labels='', label_map=(), ignore_ids=())
  elif not record.labels:
    raise ValueError(f'{field}.labels: expected the pattern of the label files '
                     "(labels are needed here), got ''")
  folder = epath.Path(root).expanduser() / record.root
  if not (root or record.root) or not folder.is_dir():
    raise FileNotFoundError(
        f'{field}.root: expected a folder, found none at {folder}; set '
        f'config.data.root and {field}.root')
  images = _find(folder, record.images, f'{field}.images')
  names = _choose(folder, record, images, field)
  pairs = [(images[name], None) for name in names]
  if record.labels:
    found = _find(folder, record.labels, f'{field}.labels')
    pairs = [(images[name], _label_of(name, found, images, record, field))
             for name in names]
  logging.info('%s: %d images in %s', field, len(pairs), folder)
  contents = [str(folder), record._asdict(), [
      [_stamp(path, folder) for path in pair if path] for pair in pairs]]
  return manifest.Recipe(
      record.name, record.class_names,
      record.palette or _palette(len(record.class_names)), contents,
      functools.partial(_rows, record, pairs, field))


def _check_record(record: FolderRecord, field: str) -> None:
  """Raises for a record that contradicts itself."""
  classes = len(record.class_names)
  if not 0 < classes < _IGNORE:
    raise ValueError(f'{field}.class_names: expected 1 to {_IGNORE - 1} names, '
                     f'got {classes}')
  if record.palette and len(record.palette) != classes:
    raise ValueError(f'{field}.palette: expected one colour for each of the '
                     f'{classes} classes, or (), got {len(record.palette)}')
  wrong = [row for row in record.label_map
           if len(row) != 2 or row[1] not in (*range(classes), _IGNORE)]
  if wrong:
    raise ValueError(
        f'{field}.label_map: expected rows (raw id, train id) with train ids '
        f'0..{classes - 1} ({field}.class_names) or {_IGNORE}, got {wrong[0]}')


def _palette(classes: int) -> tuple[tuple[int, int, int], ...]:
  """Returns distinct colours: the bits of the class id, spread (PASCAL VOC)."""
  colours = []
  for index in range(1, classes + 1):
    bits = [[index >> (3 * place + channel) & 1 for place in range(3)]
            for channel in range(3)]
    colours.append(tuple(sum(bit << (7 - place) for place, bit in enumerate(b))
                         for b in bits))
  return tuple(colours)


def _find(folder: epath.Path, pattern: str,
          field: str) -> dict[str, epath.Path]:
  """Returns the files that match a pattern, by NAME, sorted."""
  if '*' not in pattern.split('/')[-1] or '**' in pattern:
    raise ValueError(f'{field}: expected a pattern with * in its last part '
                     f"(and no **), such as 'images/*.png', got {pattern!r}")
  parts = [re.escape(part) for part in pattern.split('*')]
  matcher = re.compile('([^/]*)'.join(parts))
  found = {}
  for path in folder.glob(pattern):
    relative = path.relative_to(folder).as_posix()
    found['/'.join(matcher.fullmatch(relative).groups())] = path
  if not found:
    raise FileNotFoundError(
        f'{field}: found no file {pattern!r} in {folder}; check the pattern '
        'and the root')
  return dict(sorted(found.items()))


def _choose(folder: epath.Path, record: FolderRecord,
            images: dict[str, epath.Path], field: str) -> list[str]:
  """Returns the NAMEs that `files` and `skip_last` leave, in order."""
  names = list(images)
  if isinstance(record.files, str) and record.files:
    path = folder / record.files
    if not path.is_file():
      raise FileNotFoundError(f'{field}.files: found no file {path}')
    lines = path.read_text().splitlines()
    names = [line.strip() for line in lines if line.strip()]
    missing = [name for name in names if name not in images]
    if missing or len(set(names)) < len(names):
      problem = (f'{missing[0]!r}, which is no image {record.images!r}; names '
                 f'look like {next(iter(images))!r}' if missing
                 else 'the same name twice')
      raise ValueError(f'{field}.files: expected names of images in {path}, '
                       f'got {problem}')
  elif record.files:
    names = [name for name in names
             if any(fnmatch.fnmatchcase(name, p) for p in record.files)]
  names = names[:max(0, len(names) - record.skip_last)]
  if not names:
    raise ValueError(
        f'{field}.files: no image left of {len(images)} after '
        f'files={record.files!r} and skip_last={record.skip_last}')
  return names


def _label_of(name: str, labels: dict[str, epath.Path],
              images: dict[str, epath.Path], record: FolderRecord,
              field: str) -> epath.Path:
  """Returns the label of an image; an error says what was looked for."""
  if name not in labels:
    raise FileNotFoundError(
        f'{field}.labels: found no label named {name!r} for {images[name]} '
        f'among the {len(labels)} files {record.labels!r} (they are named '
        f'like {next(iter(labels))!r}); the * of images and labels must stand '
        'for the same text')
  return labels[name]


def _stamp(path: epath.Path, folder: epath.Path) -> tuple[str, int, float]:
  """What changes when a file does."""
  stat = path.stat()
  return str(path.relative_to(folder)), stat.length, stat.mtime


def _rows(record: FolderRecord, pairs, field: str,
          prepared: epath.Path) -> Iterator[manifest.Row]:
  """Checks the files, writes labels of train ids, and yields the rows."""
  if record.labels:
    (prepared / 'labels').mkdir()
  one = functools.partial(_row, record, field, prepared)
  every = max(100, len(pairs) // 10)
  # Pillow decodes outside the interpreter's lock.
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    futures = [pool.submit(one, number, *pair)
               for number, pair in enumerate(pairs)]
    try:
      for number, future in enumerate(futures):
        yield future.result()
        if (number + 1) % every == 0:
          logging.info('%s: %d of %d files checked', field, number + 1,
                       len(pairs))
    finally:
      pool.shutdown(cancel_futures=True)


def _row(record: FolderRecord, field: str, prepared: epath.Path, number: int,
         image: epath.Path, label: epath.Path | None) -> manifest.Row:
  """Checks one image and its label, and writes the label of train ids."""
  size = image_files.image_size(image)
  counts = np.zeros(len(record.class_names), np.int64)
  if label is None:
    return manifest.Row(str(image), '', *size, counts)
  raw = image_files.read_label(label, channel=record.label_channel)
  if raw.shape != size:
    if not record.resize_labels:
      raise ValueError(
          f'{label}: expected the size of its image {image}, '
          f'{size[0]} x {size[1]} (height x width), got {raw.shape[0]} x '
          f'{raw.shape[1]}; set {field}.resize_labels=True to bring labels to '
          'the size of their images')
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, raw.shape))
    raw = raw[rows[:, None], columns]
  trained = train_ids(raw, record, path=label, field=field)
  counts += np.bincount(trained.ravel(), minlength=256)[:counts.size]
  path = f'labels/{number:06d}.png'
  image_files.write_label(prepared / path, trained)
  return manifest.Row(str(image), path, *size, counts)


def train_ids(raw: np.ndarray, record: FolderRecord, *, path: os.PathLike,
              field: str) -> np.ndarray:
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
        f'{field}.ignore_ids')
  table = np.full(counts.size, _IGNORE, np.uint8)
  for value, train_id in known.items():
    if 0 <= value < counts.size:
      table[value] = train_id
  return table[raw]
