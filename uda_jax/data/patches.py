"""Data sets of labelled patches that a method makes during training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from etils import epath
import numpy as np

from uda_jax.data import image_files
from uda_jax.data import label_files
from uda_jax.data import manifest


class Patch(NamedTuple):
  """A labelled image.

  Attributes:
    number: of its files.
    image: [H, W, N] uint8.
    label: [H, W] int, train ids, 255 where unknown.
  """

  number: int
  image: np.ndarray
  label: np.ndarray


def file_number(image: int, patch: int, per_image: int) -> int:
  """Returns the number of a patch: one is left out after every image.

  LSE's released code counts so: 0, 1, 2, 3, 5, 6, 7, 8, 10, ... with four
  patches an image.
  """
  return (per_image + 1) * image + patch


def recipe(
  like: manifest.Manifest,
  name: str,
  contents: Any,
  make: Callable[[], Iterable[Patch]],
) -> manifest.Recipe:
  """Returns how to prepare a data set of patches.

  Args:
    like: a data set with the same classes.
    name: of the data set.
    contents: JSON-able description of what decides the patches.
    make: makes them; called only if they are not there already.
  """
  num_classes = len(like.class_names)
  own = manifest.folder_name(name, contents)
  return manifest.Recipe(
    name,
    like.class_names,
    like.palette,
    contents,
    lambda folder: _rows(folder, own, make(), num_classes),
    like.channels,
  )


def _rows(
  folder: epath.Path, own: str, patches: Iterable[Patch], num_classes: int
) -> Iterator[manifest.Row]:
  """Writes the files of every patch below folder/own, and yields its row."""
  for kind in ('images', 'labels'):
    (folder / own / kind).mkdir(parents=True, exist_ok=True)
  for patch in patches:
    image, label = (
      f'{own}/{kind}/{patch.number:06d}.png' for kind in ('images', 'labels')
    )
    image_files.write_image(folder / image, patch.image)
    label_files.write_label(folder / label, patch.label)
    counts = np.bincount(patch.label.ravel(), minlength=256)[:num_classes]
    yield manifest.Row(image, label, *patch.label.shape, counts)
