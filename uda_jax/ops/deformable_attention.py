"""Multi-scale deformable attention by gathers (arXiv 2010.04159)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def cell_centers(shapes: Sequence[tuple[int, int]]) -> np.ndarray:
  """Returns the centers of the cells of several grids, row by row.

  Args:
    shapes: (rows, columns) of each grid.

  Returns:
    [cells of all grids, 2] float64 (x, y) in (0, 1).

  Example:
    >>> print(cell_centers([(1, 2)]))
    [[0.25 0.5 ]
     [0.75 0.5 ]]
  """
  centers = []
  for rows, columns in shapes:
    y, x = np.mgrid[:rows, :columns] + 0.5
    centers.append(np.stack([x.ravel() / columns, y.ravel() / rows], -1))
  return np.concatenate(centers)


def sample(
  tokens: jax.Array,
  shapes: Sequence[tuple[int, int]],
  location: jax.Array,
  weight: jax.Array,
) -> jax.Array:
  """Sums bilinear samples of several maps; outside of them is 0.

  Equals `torch.nn.functional.grid_sample` with zeros and half-pixel centers.

  Args:
    tokens: [B, N, heads, D] float, the cells of all maps, row by row.
    shapes: (rows, columns) of each map; N cells in all.
    location: [B, Q, heads, maps, points, 2] float (x, y); a map spans [0, 1].
      Float32 or wider: in 16 bits, places are cells away.
    weight: [B, Q, heads, maps, points] float.

  Returns:
    [B, Q, heads * D] float, the dtype of `tokens`.
  """
  begin = 0
  maps = []
  for level, (rows, columns) in enumerate(shapes):
    cells = tokens[:, begin : begin + rows * columns]
    begin += rows * columns
    maps.append(
      _sample_map(
        cells.swapaxes(1, 2),
        (rows, columns),
        location[:, :, :, level].swapaxes(1, 2),
        weight[:, :, :, level].swapaxes(1, 2),
      )
    )
  total = sum(maps[1:], maps[0]).swapaxes(1, 2)
  return total.reshape(*total.shape[:2], -1)


def _sample_map(
  cells: jax.Array,
  shape: tuple[int, int],
  location: jax.Array,
  weight: jax.Array,
) -> jax.Array:
  """Samples one map [B, heads, cells, D]; [B, heads, Q, D]."""
  rows, columns = shape
  location = location.astype(jnp.promote_types(location.dtype, jnp.float32))
  x = location[..., 0] * columns - 0.5
  y = location[..., 1] * rows - 0.5
  left, top = jnp.floor(x), jnp.floor(y)
  total = jnp.zeros((), cells.dtype)
  for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
    for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
      inside = (0 <= column) & (column < columns) & (0 <= row) & (row < rows)
      # Whole numbers: products of floats are rounded in large maps.
      index = jnp.clip(row, 0, rows - 1).astype(jnp.int32) * columns
      index += jnp.clip(column, 0, columns - 1).astype(jnp.int32)
      flat = index.reshape(*index.shape[:2], -1, 1)
      value = jnp.take_along_axis(cells, flat, axis=2)
      value = value.reshape(*index.shape, -1)
      share = jnp.where(inside, share_x * share_y, 0) * weight
      total += (value * share[..., None].astype(value.dtype)).sum(3)
  return total
