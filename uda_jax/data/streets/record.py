"""The declarative record of a data set of street scenes, and its validation."""

from __future__ import annotations

from typing import NamedTuple

# The scenes of a split have numbers of their own, so that no scene of one
# appears in another, for any sizes.
FIRST_SCENE = {
  'source_train': 0,
  'source_test': 1_000_000,
  'target_train': 2_000_000,
  'target_test': 3_000_000,
}
_LARGEST_SPLIT = 1_000_000


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
  if record.split not in FIRST_SCENE:
    raise ValueError(
      f'{field}.split: expected one of {sorted(FIRST_SCENE)}, got '
      f'{record.split!r}'
    )
  if not 0 < record.num_images <= _LARGEST_SPLIT:
    raise ValueError(
      f'{field}.num_images: expected 1 to {_LARGEST_SPLIT}, got '
      f'{record.num_images}'
    )
