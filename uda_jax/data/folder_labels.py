"""Labels of a folder's images: read, brought to size, and checked together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from etils import epath
import numpy as np

from uda_jax import labels as labels_lib
from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import label_ids
from uda_jax.data import problems
from uda_jax.data import transforms

_IGNORE = labels_lib.IGNORE_LABEL
# Labels that are resized may be stretched by this: a few of GTA5 lack some rows
# of their image.
_MOST_STRETCH = 1.1


class Source(NamedTuple):
  """Files of one image of a data set.

  Attributes:
    name: the text that the * of the patterns match.
    image: its file.
    label: its label file, None if there is none or none is wanted.
    stamps: paths, sizes and times of change of these files.
  """

  name: str
  image: epath.Path
  label: epath.Path | None
  stamps: list[tuple[str, int, int]]


class Job(NamedTuple):
  """Settings shared by all images of a data set in preparation.

  Attributes:
    record: a `folder_record.FolderRecord`, without `labels` if none are wanted.
    field: the config field that holds the record, for messages.
    resize: the size of copies that are made of the images, None for none.
    folder: for the files that are made, those of other data sets among them.
    title: of the data set's own folder in it.
    channels: of every image.
  """

  record: Any
  field: str
  resize: transforms.Spec | None
  folder: epath.Path
  title: str
  channels: int = 3


class Contents(NamedTuple):
  """Contents of a label file.

  Attributes:
    ids: raw id -> number of pixels; empty for labels in colors.
    colors: id -> color of the file's palette; empty if it has none.
    ignored: pixels of label 255.
  """

  ids: dict[int, int]
  colors: dict[int, tuple[int, ...]]
  ignored: int


def read(job: Job, source: Source) -> tuple[np.ndarray, Contents]:
  """Reads the label of an image.

  Args:
    job: the data set.
    source: the image.

  Returns:
    [H, W] uint8 train ids, and what the file holds.
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
    label = label_ids.color_ids(pixels, record, path=source.label)
    return label, Contents({}, {}, int((label == _IGNORE).sum()))
  raw, palette = label_files.read_label_and_palette(
    source.label, channel=record.label_channel, field=job.field
  )
  counts = label_ids.count_ids(raw)
  label = label_ids.train_ids(raw, record, path=source.label, counts=counts)
  return label, Contents(
    counts,
    label_ids.used_colors(counts, palette),
    int((label == _IGNORE).sum()),
  )


def fit(
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
  if _stretch(size, label.shape) > _MOST_STRETCH:
    raise ValueError(
      f'{sizes}; a label of another shape does not lie over its image when it '
      'is resized: one of the two is turned, cut, or of another image'
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


def _stretch(size: tuple[int, ...], other: tuple[int, ...]) -> float:
  """Returns the ratio of two ratios of height and width, 1 or more."""
  ratio = size[0] * other[1] / (size[1] * other[0])
  return max(ratio, 1 / ratio)


class Summary:
  """Collects what the labels of a whole data set hold."""

  def __init__(self, job: Job):
    self._job = job
    self._ids: Counter = Counter()
    self._classes = np.zeros(len(job.record.class_names), np.int64)
    self._ignored = 0
    self._colors: dict[int, tuple[str, dict]] = {}
    self._conflict = ''

  def add(
    self, source: Source, contents: Contents, class_pixels: np.ndarray
  ) -> None:
    """Adds the label of an image, and its [C] pixels of each class."""
    self._ids.update(contents.ids)
    self._classes += class_pixels
    self._ignored += contents.ignored
    here = (str(source.label), contents.colors)
    for value in contents.colors:
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
