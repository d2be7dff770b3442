"""The declarative record of a data set of rendered cells."""

from __future__ import annotations

from typing import NamedTuple

from uda_jax.data import scenes
from uda_jax.data.cells import labs


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


def check(record: CellsRecord, field: str) -> None:
  """Raises ValueError for a record that cannot be rendered.

  Args:
    record: any values.
    field: the config field that holds the record, for messages.
  """
  scenes.check(record, field)
  if record.lab not in labs.LABS:
    raise ValueError(
      f'{field}.lab: expected one of {sorted(labs.LABS)}, got {record.lab!r}'
    )
