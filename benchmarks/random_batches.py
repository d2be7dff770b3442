"""Batches of random arrays, of the sizes that a config trains on."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from uda_jax import types


class Sizes(NamedTuple):
  """(height, width) of the images of a step, by domain."""

  source: tuple[int, int]
  target: tuple[int, int]


def image_sizes(config, crop: int = 0) -> Sizes:
  """Returns the sizes of a step's images: crops, or resized images.

  Args:
    config: the config of a run.
    crop: another height and width of the crops; 0: the config's.
  """
  data = config.data
  if crop or any(data.crop_size):
    size = (crop, crop) if crop else tuple(data.crop_size)
    return Sizes(size, size)
  sizes = Sizes(tuple(data.source_image_size), tuple(data.target_image_size))
  if not all(map(any, sizes)):
    raise ValueError('config.data.crop_size is not set: give --crop=N')
  return sizes


def make(
  config: types.Config, sizes: Sizes, num_classes: int, phase: int
) -> types.Batch:
  """Returns the groups of a step, all equal: noise, labels in blocks of 16."""
  random = np.random.default_rng(0)
  count = config.batch.group_size

  # On the host, as `types.Array` says of a batch that is not there yet.
  def image(size: tuple[int, int]) -> Any:
    return random.integers(0, 256, (count, *size, 3), np.uint8)

  def label(size: tuple[int, int]) -> Any:
    cells = [-(-side // 16) for side in size]
    classes = random.integers(0, num_classes, (count, *cells), dtype=np.int32)
    return classes.repeat(16, 1).repeat(16, 2)[:, : size[0], : size[1]]

  valid_mask: Any = np.ones((count, *sizes.target), bool)
  group = types.Batch(
    types.Source(image(sizes.source), label(sizes.source)),
    types.Target(
      image(sizes.target),
      valid_mask,
      # LSE's patches come with their labels.
      label(sizes.target) if config.rounds else None,
    ),
    _random_views(config.data.pair, phase),
  )
  # Without copies: hundreds of groups fit.
  return jax.tree.map(
    lambda x: np.broadcast_to(x, (config.batch.groups, *x.shape)), group
  )


def _random_views(pair, phase: int) -> dict[str, Any] | None:
  """Returns pairs of identical crops of noise for PiPa's patches.

  Args:
    pair: `config.data.pair`.
    phase: of the method.

  Returns:
    'image' [pairs, 2, H, W, 3] uint8, 'box' [pairs, 2, 4] int32 (top, bottom,
    left, right), 'flipped' [pairs, 2] bool; None for a method without pairs,
    and in phase 0.
  """
  # They are cut from the step on from which the loss looks at them.
  if not any(pair.crop_size) or not phase:
    return None
  lead = (pair.group_size, 2)
  height, width = pair.crop_size
  random = np.random.default_rng(1)
  return {
    'image': random.integers(0, 256, (*lead, height, width, 3), np.uint8),
    'box': np.broadcast_to(
      np.array([0, height, 0, width], np.int32), (*lead, 4)
    ),
    'flipped': np.zeros(lead, bool),
  }
