"""The declarative record of a data set of town scenes."""

from __future__ import annotations

from typing import NamedTuple

from uda_jax.data import scenes
from uda_jax.data.town import look


class TownRecord(NamedTuple):
  """A data set of rendered scenes that resemble real streets.

  Attributes:
    split: 'source_train', 'source_test', 'target_train' or 'target_test',
      which differ in their scenes alone.
    num_images: number of scenes.
    without: what to leave out, some of 'textures', 'light', 'colors' and
      'camera', to measure what it gives.
    image_size: (height, width).
    seed: of the town that the scenes are in.
    name: what to call the data set.
  """

  split: str
  num_images: int
  without: tuple[str, ...] = ()
  image_size: tuple[int, int] = (160, 214)
  seed: int = 0
  name: str = 'town'


def check(record: TownRecord, field: str) -> None:
  """Raises ValueError for a record that cannot be rendered.

  Args:
    record: any values.
    field: the config field that holds the record, for messages.
  """
  scenes.check(record, field)
  unknown = [part for part in record.without if part not in look.PARTS]
  if unknown:
    raise ValueError(
      f'{field}.without: expected some of {look.PARTS}, got {unknown[0]!r}'
    )
