"""Rendered scenes: their numbers, and the checks that all records share."""

from __future__ import annotations

from typing import Any

# The scenes of a split have numbers of their own, so that no scene of one
# appears in another, for any sizes.
FIRST_SCENE = {
  'source_train': 0,
  'source_test': 1_000_000,
  'target_train': 2_000_000,
  'target_test': 3_000_000,
}
_LARGEST_SPLIT = 1_000_000


def check(record: Any, field: str) -> None:
  """Raises ValueError for a split that there is not, or of no size.

  Args:
    record: of any kind of rendered data set.
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
  if type(record.seed) is not int or record.seed < 0:
    raise ValueError(
      f'{field}.seed: expected a whole number, 0 or more, got {record.seed!r}'
    )
