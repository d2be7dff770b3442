"""Batches from arrays in memory: the contract of `pipeline`, NumPy alone.

For notebooks, benchmarks and small data sets, on machines without TensorFlow.
The draws are not those of `pipeline`, but likewise functions of (seed, step).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from uda_jax import types

_SOURCE, _TARGET = 0, 1
_ORDER, _CROP = 0, 1


def _generator(
  seed: int, domain: int, purpose: int, number: int
) -> np.random.Generator:
  """Returns the random stream of one element (or epoch) of one domain."""
  # Philox is counter-based: keys next to each other give independent streams.
  key = np.array([seed, number], np.uint64)
  counter = np.array([0, 0, purpose, domain], np.uint64)
  return np.random.Generator(np.random.Philox(key=key, counter=counter))


def _order(seed: int, domain: int, elements: range, size: int) -> np.ndarray:
  """Returns the images of some elements: every epoch is a permutation."""
  numbers = np.asarray(elements)
  result = np.empty(len(numbers), np.int32)
  epochs = numbers // size
  for epoch in np.unique(epochs):
    order = _generator(seed, domain, _ORDER, epoch).permutation(size)
    here = epochs == epoch
    result[here] = order[numbers[here] % size]
  return result


def _crop(
  seed: int,
  domain: int,
  element: int,
  arrays: tuple[np.ndarray, ...],
  crop_size: tuple[int, int] | None,
  flip: bool,
) -> list[np.ndarray]:
  """Cuts the same random window out of every array, and mirrors it or not."""
  height, width = arrays[0].shape[:2]
  crop_size = crop_size or (height, width)
  random = _generator(seed, domain, _CROP, element)
  top = random.integers(0, height - crop_size[0], endpoint=True)
  left = random.integers(0, width - crop_size[1], endpoint=True)
  direction = -1 if random.random() < 0.5 and flip else 1
  return [
    x[top : top + crop_size[0], left : left + crop_size[1]][:, ::direction]
    for x in arrays
  ]


def _rows(
  seed: int,
  domain: int,
  elements: range,
  lead: tuple[int, int],
  arrays: tuple[np.ndarray, ...],
  crop_size: tuple[int, int] | None,
  flip: bool,
) -> tuple[list[Any], Any]:
  """Returns crops of every array, arranged in groups, and their indices."""
  index = _order(seed, domain, elements, len(arrays[0]))
  crops = [
    _crop(seed, domain, k, tuple(x[i] for x in arrays), crop_size, flip)
    for k, i in zip(elements, index)
  ]
  stacked = [np.stack(x) for x in zip(*crops)]
  return (
    [x.reshape(*lead, *x.shape[1:]) for x in stacked],
    index.reshape(lead),
  )


def _check(
  images: np.ndarray, name: str, crop_size: tuple[int, int] | None
) -> None:
  """Raises unless `images` are images, and large enough."""
  if images.ndim != 4 or images.dtype != np.uint8 or not images.size:
    raise ValueError(
      f'{name}: expected uint8 [N, H, W, channels] with N of 1 or more, got '
      f'{images.dtype} {list(images.shape)}'
    )
  if crop_size and (len(crop_size) != 2 or min(crop_size) < 1):
    raise ValueError(
      f'crop_size: expected (height, width), each 1 or more, got {crop_size}'
    )
  if crop_size and (np.array(crop_size) > images.shape[1:3]).any():
    raise ValueError(
      f'crop_size: expected at most the size of {name}, '
      f'{images.shape[1:3]}, got {tuple(crop_size)}'
    )


def _check_labels(labels: np.ndarray, shape: tuple[int, ...]) -> None:
  """Raises unless labels are train ids of images of this [N, H, W]."""
  if labels.shape != shape:
    raise ValueError(f'source_labels: expected {shape}, got {labels.shape}')
  if (
    labels.dtype.kind not in 'iu' or not 0 <= labels.min() <= labels.max() < 256
  ):
    raise ValueError(
      'source_labels: expected whole numbers 0 to 255, got '
      f'{labels.dtype} from {labels.min()} to {labels.max()}'
    )


def _check_numbers(**values: tuple[int, int]) -> None:
  """Raises unless each (value, least) is a whole number, `least` or more."""
  for name, (value, least) in values.items():
    if not isinstance(value, int | np.integer) or value < least:
      raise ValueError(
        f'{name}: expected a whole number, {least} or more, got {value!r}'
      )


def _check_share(groups: int, process_index: int, process_count: int) -> None:
  """Raises unless the groups divide evenly over the processes."""
  if groups % process_count:
    raise ValueError(
      f'groups: expected a multiple of the {process_count} '
      f'processes, got {groups}'
    )
  if process_index not in range(process_count):
    raise ValueError(
      f'process_index: expected 0 to {process_count - 1}, got {process_index}'
    )


def train_batches(
  source_images: np.ndarray,
  source_labels: np.ndarray,
  target_images: np.ndarray,
  *,
  seed: int,
  first_step: int,
  num_steps: int,
  groups: int,
  group_size: int,
  crop_size: tuple[int, int] | None = None,
  flip: bool = True,
  process_index: int = 0,
  process_count: int = 1,
) -> Iterator[types.Batch]:
  """Returns one process's share of the batches of training.

  Args:
    source_images: [N, H, W, channels] uint8.
    source_labels: [N, H, W] integer train ids, 255 = ignore.
    target_images: [M, H', W', channels] uint8.
    seed: of the run, 0 or more.
    first_step: the step of the first batch.
    num_steps: the step after the last batch, counted from the run's start.
    groups: groups of a global batch, a multiple of `process_count`.
    group_size: source images, and target images, of a group.
    crop_size: random crops of (height, width), None = whole images.
    flip: mirror left-right every second time.
    process_index: which contiguous share of the groups.
    process_count: number of shares.

  Returns:
    Iterator as of `pipeline.train_batches`; every target pixel is valid.
  """
  _check(source_images, 'source_images', crop_size)
  _check(target_images, 'target_images', crop_size)
  _check_labels(source_labels, source_images.shape[:3])
  _check_numbers(
    seed=(seed, 0),
    first_step=(first_step, 0),
    groups=(groups, 1),
    group_size=(group_size, 1),
    process_count=(process_count, 1),
  )
  _check_share(groups, process_index, process_count)
  lead = (groups // process_count, group_size)
  rows = lead[0] * lead[1]

  def batch(step: int) -> types.Batch:
    first = (step * process_count + process_index) * rows
    read = lambda domain, *arrays: _rows(
      seed, domain, range(first, first + rows), lead, arrays, crop_size, flip
    )
    (image, label), index = read(_SOURCE, source_images, source_labels)
    source = types.Source(image, label.astype(np.int32), index)
    (image,), index = read(_TARGET, target_images)
    valid_mask: Any = np.ones(image.shape[:-1], bool)
    return types.Batch(source, types.Target(image, valid_mask, None, index))

  return map(batch, range(first_step, num_steps))
