"""DAFormer's batches as PyTorch code usually makes them.

A map-style data set of pairs, with Pillow or OpenCV and NumPy, in PyTorch's
DataLoader; without PyTorch, the same work in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os

import numpy as np
from PIL import Image

from uda_jax.data import domains as domains_lib

try:
  import torch
except ImportError:
  torch = None
try:
  import cv2
except ImportError:
  cv2 = None

LOADER = (
  'torch.utils.data.DataLoader' if torch else 'the same work in one process'
)
GROUP = 2


def _pillow(path: str, size: tuple[int, int], label: bool) -> np.ndarray:
  image: Image.Image = Image.open(path)
  image = image if label else image.convert('RGB')
  if image.size != size[::-1]:
    how = Image.Resampling.NEAREST if label else Image.Resampling.BILINEAR
    image = image.resize(size[::-1], how)
  return np.asarray(image)


def _opencv(path: str, size: tuple[int, int], label: bool) -> np.ndarray:
  image = cv2.imread(
    path, cv2.IMREAD_GRAYSCALE if label else cv2.IMREAD_COLOR_RGB
  )
  if image.shape[:2] != size:
    image = cv2.resize(
      image,
      size[::-1],
      interpolation=(cv2.INTER_NEAREST if label else cv2.INTER_LINEAR),
    )
  return image


# What decodes and resizes; OpenCV where it is installed.
READERS: dict[str, Callable[..., np.ndarray]] = {'pillow': _pillow} | (
  {'opencv': _opencv} if cv2 else {}
)


class Pairs:
  """A source and a target sample for every number below `length`."""

  def __init__(
    self,
    domains: tuple[domains_lib.Domain, domains_lib.Domain],
    sizes: tuple[tuple[int, int], tuple[int, int]],
    reader: str,
    length: int,
  ):
    """Reads `domains`, resized to `sizes`, with READERS[reader]."""
    self._source, self._target = domains
    self._source_size, self._target_size = sizes
    self._reader = reader
    self._length = length

  def __len__(self) -> int:
    return self._length

  def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
    """Returns image and label of the source, and an image of the target."""
    if cv2:
      cv2.setNumThreads(0)
    read = READERS[self._reader]
    random = np.random.default_rng(number)
    data, rare = self._source.data, self._source.rare
    assert rare is not None  # `street_files.config` asks for it
    wanted = int(random.choice(len(rare.classes), p=rare.probability))
    index = rare.files[wanted, random.integers(rare.lengths[wanted])]
    label = read(data.label_paths[index], self._source_size, True)
    image = read(data.image_paths[index], self._source_size, False)
    box = self._box(label, rare.classes[wanted], random)
    source = _flipped((image[box], label[box].astype(np.int32)), random)
    path = random.choice(self._target.data.image_paths)
    target = read(path, self._target_size, False)
    box = _draw(target.shape, self._target.spec.crop_size, random)
    return (*source, *_flipped((target[box],), random))

  def _box(
    self, label: np.ndarray, wanted: int, random: np.random.Generator
  ) -> tuple[slice, slice]:
    """DAFormer's crop: no class too frequent, and enough of the rare one."""
    spec = self._source.spec
    for _ in range(11):
      for _ in range(11):
        box = _draw(label.shape, spec.crop_size, random)
        counts = np.bincount(label[box].ravel(), minlength=256)[:255]
        if (
          np.count_nonzero(counts) > 1
          and counts.max() < spec.max_class_share * counts.sum()
        ):
          break
      if counts[wanted] > self._source.rare_pixels:
        break
    return box


def _draw(
  shape: tuple[int, ...], crop: tuple[int, int], random: np.random.Generator
) -> tuple[slice, slice]:
  height, width = crop
  top, left = (random.integers(n - m + 1) for n, m in zip(shape, crop))
  return slice(top, top + height), slice(left, left + width)


def _flipped(
  arrays: tuple[np.ndarray, ...], random: np.random.Generator
) -> list[np.ndarray]:
  step = random.choice([-1, 1])
  return [np.ascontiguousarray(x[:, ::step]) for x in arrays]


def batches(pairs: Pairs) -> Iterator[tuple]:
  """Yields all of `pairs` in batches of GROUP."""
  if torch:
    yield from torch.utils.data.DataLoader(
      pairs, batch_size=GROUP, num_workers=os.cpu_count(), prefetch_factor=2
    )
    return
  for first in range(0, len(pairs), GROUP):
    samples = [pairs[i] for i in range(first, first + GROUP)]
    yield tuple(map(np.stack, zip(*samples)))
