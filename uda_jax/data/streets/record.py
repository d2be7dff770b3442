"""The declarative record of a data set of street scenes."""

from __future__ import annotations

from typing import NamedTuple

from uda_jax.data import scenes


class StreetsRecord(NamedTuple):
  """A data set of rendered scenes.

  Attributes:
    split: 'source_train', 'source_test', 'target_train' or 'target_test',
      which differ in their scenes alone.
    num_images: number of scenes.
    gap: (photometric, local) style, 0 = like a game, 1 = like a camera.
    image_size: (height, width).
    seed: of the town that the scenes are in.
    name: what to call the data set.
  """

  split: str
  num_images: int
  gap: tuple[float, float]
  image_size: tuple[int, int] = (96, 192)
  seed: int = 0
  name: str = 'streets'


def check(record: StreetsRecord, field: str) -> None:
  """Raises ValueError for a record that cannot be rendered.

  Args:
    record: any values.
    field: the config field that holds the record, for messages.
  """
  scenes.check(record, field)
  gap = record.gap
  if not isinstance(gap, tuple | list) or not (
    len(gap) == 2
    and all(isinstance(x, int | float) and 0 <= x <= 1 for x in gap)
  ):
    raise ValueError(
      f'{field}.gap: expected (photometric, local), each from 0 to 1, got '
      f'{gap!r}'
    )
