"""Tiles of noise, made once, that surfaces look up."""

from __future__ import annotations

import functools

import numpy as np

from uda_jax.data.streets import scene


def _value_noise(random: np.random.Generator, cells: int) -> np.ndarray:
  """Returns a tile of smooth noise with a mean of 0 and a deviation of 1."""
  tile = scene.tile(random.normal(size=(cells, cells)), smooth=True)
  return (tile - tile.mean()) / tile.std()


def _sum(random: np.random.Generator, *cells: int) -> np.ndarray:
  tile = np.add.reduce(
    [_value_noise(random, n) / (i + 1) for i, n in enumerate(cells)]
  )
  return (tile / tile.std()).astype(np.float32)


def _branches(random: np.random.Generator) -> np.ndarray:
  """Returns a tile of thin, connected lines: 1 on a twig, 0 between."""
  lines = [
    np.exp(-((_value_noise(random, cells) / width) ** 2))
    for cells, width in ((10, 0.10), (20, 0.16), (40, 0.25))
  ]
  return np.maximum.reduce(lines).astype(np.float32)


@functools.cache
def _tiles() -> dict[str, np.ndarray]:
  random = np.random.default_rng(11)
  return {
    'cloudy': _sum(random, 4, 8, 16),
    'stained': _sum(random, 8, 32, 64),
    'rough': _sum(random, 128, 32, 256),
    'leafy': _sum(random, 32, 64, 128),
    'twigs': _branches(random),
  }


def look_up(kind: str, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
  """Returns noise at texture coordinates; arguments broadcast, a tile is 256.

  Args:
    kind: 'cloudy', 'stained', 'rough', 'leafy' (mean 0, deviation 1) or
      'twigs' (0..1).
    rows: float.
    columns: float.

  Returns:
    float32 of the arguments' common shape.
  """
  mask = scene.TILE - 1
  place = (rows.astype(np.int32) & mask) * scene.TILE
  # A flat index is twice as fast as two.
  return _tiles()[kind].take(
    place + (columns.astype(np.int32) & mask), mode='wrap'
  )
