"""Data sets of labeled patches that a method makes during training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import json
from typing import Any, NamedTuple

from etils import epath
import numpy as np

from uda_jax import files
from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import manifest
from uda_jax.data import prepared


class Patch(NamedTuple):
  """A labeled image.

  Attributes:
    number: of its files.
    image: [H, W, N] uint8.
    label: [H, W] int, train ids, 255 where unknown.
  """

  number: int
  image: np.ndarray
  label: np.ndarray


class Gone(ValueError):
  """Raised for patches that are no longer there."""


def file_number(image: int, patch: int, per_image: int) -> int:
  """Returns the number of a patch: one is left out after every image.

  LSE's released code counts so: 0, 1, 2, 3, 5, 6, 7, 8, 10, ... with four
  patches an image.
  """
  return (per_image + 1) * image + patch


class Store:
  """The files of a data set of patches, which several processes make.

  Each image has a small JSON file beside those of its patches, which is written
  last: what is there is whole.
  """

  def __init__(
    self,
    like: manifest.Manifest,
    name: str,
    contents: Any,
    folder: Any,
    *,
    count: int,
    title: str = '',
  ):
    """Makes the folders.

    Args:
      like: a data set with the same classes.
      name: of the data set, and of its folder.
      contents: JSON-able description of what decides the patches.
      folder: where prepared data sets are kept.
      count: number of images that patches are cut from.
      title: what messages call it; '' = its name.
    """
    self.folder = folder
    self._like, self._title, self._contents = like, title or name, contents
    self._count = count
    self._folder = prepared.files_folder(folder)
    self._own = manifest.folder_name(name, contents)
    for kind in ('images', 'labels'):
      (self._folder / self._own / kind).mkdir(parents=True, exist_ok=True)

  def missing(self) -> list[int]:
    """Returns the images whose patches are not there, or not whole."""
    return [i for i in range(self._count) if self._rows(i) is None]

  def write(self, place: int, patches: Iterable[Patch]) -> None:
    """Writes the patches of an image."""
    rows = []
    for patch in patches:
      image, label = (
        f'{self._own}/{kind}/{patch.number:06d}.png'
        for kind in ('images', 'labels')
      )
      image_files.write_image(self._folder / image, patch.image)
      label_files.write_label(self._folder / label, patch.label)
      num_classes = len(self._like.class_names)
      counts = np.bincount(patch.label.ravel(), minlength=256)[:num_classes]
      height, width = patch.label.shape
      row = manifest.Row(image, label, height, width, counts)._asdict()
      row |= {'class_pixels': counts.tolist()}
      rows.append(row | {'bytes': self._bytes(image, label)})
    files.write_atomically(self._json(place), files.to_json(rows))

  def recipe(self) -> manifest.Recipe:
    """Returns how to prepare the data set, when all patches are there."""
    return manifest.Recipe(
      self._title,
      self._like.class_names,
      self._like.palette,
      self._contents,
      lambda folder: self._all_rows(),
      self._like.channels,
    )

  def _all_rows(self) -> Iterator[manifest.Row]:
    for place in range(self._count):
      rows = self._rows(place)
      if rows is None:
        raise Gone(self._folder / self._own)
      yield from rows

  def _rows(self, place: int) -> list[manifest.Row] | None:
    """Returns the rows of an image; None if a file is missing or damaged."""
    try:
      stored = json.loads(self._json(place).read_text())
    except (OSError, ValueError):
      return None
    rows = []
    for row in stored:
      if row.pop('bytes') != self._bytes(row['image'], row['label']):
        return None
      row['class_pixels'] = np.array(row['class_pixels'], np.int64)
      rows.append(manifest.Row(**row))
    return rows

  def _json(self, place: int) -> epath.Path:
    return self._folder / self._own / f'{place:06d}.json'

  def _bytes(self, *names: str) -> list[int]:
    return [manifest.file_size(self._folder / name) for name in names]
