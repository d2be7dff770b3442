"""The declarative record of a data set of rendered cells."""

from __future__ import annotations

from typing import NamedTuple


class CellsRecord(NamedTuple):
  """A data set of rendered cells.

  Attributes:
    split: 'source_train', 'source_test', 'target_train' or 'target_test',
      which differ in their scenes alone.
    num_images: number of scenes.
    lab: where they are stained and photographed, 'pink' or 'violet'.
    image_size: (height, width).
    seed: of the slides.
    name: what to call the data set.
  """

  split: str
  num_images: int
  lab: str
  image_size: tuple[int, int] = (96, 96)
  seed: int = 0
  name: str = 'cells'
