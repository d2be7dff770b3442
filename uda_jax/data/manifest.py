"""Manifests: the files of a data set, their sizes and class counts.

`prepared` makes and reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import hashlib
import json
import os
import re
from typing import Any, NamedTuple

from etils import epath
import numpy as np
import tensorflow as tf

from uda_jax.data import file_hash

# A TensorFlow built for GPUs must leave them to JAX, and can only be set up so
# before its first operation.
tf.config.set_visible_devices([], 'GPU')

# Part of every fingerprint: raised when the prepared format changes.
VERSION = '2.0.0'


class Set(NamedTuple):
  """One of several data sets that a manifest holds one after the other.

  Attributes:
    name: in the config.
    title: `Manifest.name` of the set alone.
    start: its first image.
    stop: the image after its last one.
    weight: its share of the batches, relative to the other sets.
    resize_to: (height, width) that replaces the part's, (0, 0): none.
  """

  name: str
  title: str
  start: int
  stop: int
  weight: float = 1.0
  resize_to: tuple[int, int] = (0, 0)


class Manifest(NamedTuple):
  """A data set of N images and C classes, held whole in memory.

  Attributes:
    name: what the data set is called in messages.
    image_paths: N absolute paths of JPEG or PNG files.
    label_paths: N absolute paths of 8-bit gray PNG files that hold train ids
      (255 = ignore), or N times None: the whole set is labeled or none of it.
    heights: [N] int32, image heights in pixels; labels have the same size.
    widths: [N] int32.
    class_pixels: [N, C] int64, label pixels of each class; 0 if unlabeled.
    class_names: C names.
    palette: C colors (red, green, blue), 0..255.
    notes: what is unusual about single files, for people.
    channels: of the images; if not 3, they are `bands.stacked`.
    sets: the data sets that it is made of, () for one.
    files: N image files of the data set, which `image_paths` are or were made
      of; () = `image_paths`.
    file_hashes: N hashes of these files and their label files, '' of rendered
      ones; () = unknown. See `file_hash`.
  """

  name: str
  image_paths: tuple[str, ...]
  label_paths: tuple[str | None, ...]
  heights: np.ndarray
  widths: np.ndarray
  class_pixels: np.ndarray
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  notes: tuple[str, ...] = ()
  channels: int = 3
  sets: tuple[Set, ...] = ()
  files: tuple[str, ...] = ()
  file_hashes: tuple[str, ...] = ()

  @property
  def originals(self) -> tuple[str, ...]:
    """The image files by which people know the images."""
    return self.files or self.image_paths

  @property
  def size_and_byte_hashes(self) -> tuple[list[str], list[str] | None]:
    """The parts of `file_hashes`, see `file_hash.parts`."""
    return file_hash.parts(self.file_hashes)

  @property
  def labeled(self) -> bool:
    """True if there are labels."""
    return self.label_paths[0] is not None


def take(data: Manifest, rows: Sequence[int] | np.ndarray) -> Manifest:
  """Returns the manifest of some images, in this order."""
  index = np.asarray(rows, int)
  some = lambda values: tuple(values[i] for i in index) if values else ()
  return data._replace(
    image_paths=some(data.image_paths),
    label_paths=some(data.label_paths),
    heights=data.heights[index],
    widths=data.widths[index],
    class_pixels=data.class_pixels[index],
    sets=(),
    files=some(data.files),
    file_hashes=some(data.file_hashes),
  )


def joined(parts: Sequence[tuple[Set, Manifest]]) -> Manifest:
  """Returns the manifest of several data sets, one after the other.

  Args:
    parts: what the config says of each set (`start` and `stop` are not read),
      and its manifest; all have the same classes and channels, and labels or
      none.
  """
  first = parts[0][1]
  join = lambda field: sum((getattr(d, field) for _, d in parts), ())
  stack = lambda field: np.concatenate([getattr(d, field) for _, d in parts])
  stops = np.cumsum([len(data.image_paths) for _, data in parts]).tolist()
  return first._replace(
    name=' + '.join(data.name for _, data in parts),
    image_paths=join('image_paths'),
    label_paths=join('label_paths'),
    heights=stack('heights'),
    widths=stack('widths'),
    class_pixels=stack('class_pixels'),
    notes=join('notes'),
    files=join('files'),
    file_hashes=join('file_hashes'),
    sets=tuple(
      one._replace(title=data.name, start=start, stop=stop)
      for (one, data), start, stop in zip(parts, [0, *stops], stops)
    ),
  )


def split(data: Manifest) -> list[Manifest]:
  """Returns the manifest of each of the sets of a manifest."""
  return [
    take(data, range(one.start, one.stop))._replace(name=one.title, notes=())
    for one in data.sets
  ]


class Row(NamedTuple):
  """One image of a data set in the making.

  Attributes:
    image: path, absolute or relative to the folder of made files.
    label: path likewise, '' if there is none.
    height: of the image (and of the label).
    width: of the image.
    class_pixels: [C] int64.
    note: what is unusual about it, '' if nothing is.
    file: the image file of the data set, '' if there is none (rendered).
    file_hash: see `Manifest.file_hashes`.
  """

  image: str
  label: str
  height: int
  width: int
  class_pixels: np.ndarray
  note: str = ''
  file: str = ''
  file_hash: str = ''


class Broken(ValueError):
  """Raised if files of a data set cannot be used.

  Attributes:
    problems: one message for each file.
    summary: one message for each kind of problem.
  """

  def __init__(self, problems: Sequence[str], summary: Sequence[str]):
    """The message is the first of the summary, and how many there are."""
    self.problems, self.summary = tuple(problems), tuple(summary)
    more = (
      f' (and {len(summary) - 1} more: python -m uda_jax.data.prepare '
      'lists them)'
      if len(summary) > 1
      else ''
    )
    super().__init__(summary[0] + more)


class Recipe(NamedTuple):
  """Describes how to prepare a data set.

  Attributes:
    name: as in `Manifest`.
    class_names: as in `Manifest`.
    palette: as in `Manifest`.
    contents: JSON-able description of everything that decides what the
      prepared folder holds; its hash is part of the folder's name.
    rows: `rows(folder) -> rows`: writes files below `folder`, which all data
      sets share, and returns the rows in order.
    channels: as in `Manifest`.
    share: `share(folder, index, count)`: does, of `count` processes, the work
      of number `index` ahead; `rows` finds what is done. None: `rows` does all.
  """

  name: str
  class_names: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  contents: Any
  rows: Callable[[epath.Path], Iterable[Row]]
  channels: int = 3
  share: Callable[[epath.Path, int, int], None] | None = None


def fingerprint(contents: Any) -> str:
  """Returns a short hash of JSON-able contents and the format's version."""
  text = json.dumps([VERSION, contents], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def folder_name(name: str, contents: Any) -> str:
  """Returns a name for a folder of these contents that people can read."""
  return f'{re.sub("[^a-zA-Z0-9]+", "_", name)}-{fingerprint(contents)}'


def file_size(path: epath.Path) -> int:
  """Returns the bytes of a file, -1 if there is none."""
  try:
    if '://' in str(path):
      return path.stat().length
    return os.stat(path).st_size
  except OSError:
    return -1
