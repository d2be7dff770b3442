"""Resamples position embeddings to another grid, as PyTorch does."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def resample(
  grid: jax.Array,
  size: tuple[int, int],
  *,
  offset: float,
  antialias: bool,
) -> jax.Array:
  """Resizes a grid bicubically, with half-pixel centers.

  Equals `torch.nn.functional.interpolate(mode='bicubic')`, plain with
  `scale_factor=(size + offset) / grid size` or, with offset 0, with
  `size=` and `antialias=`.

  Args:
    grid: [h, w, D] float.
    size: the new (height, width).
    offset: added to the new size for the step between its points (DINOv2 was
      trained with 0.1), so that they lie a little closer together and off the
      middle, towards the first row and column.
    antialias: cubics of -1/2 that widen when shrinking and are cut off at the
      border, instead of cubics of -3/4 that see the border repeated.

  Returns:
    [height, width, D].
  """
  height, width = (
    _weights(n, out, n / (out + offset), antialias).astype(grid.dtype)
    for n, out in zip(grid.shape[:2], size)
  )
  # In full precision: accelerators would multiply in bfloat16 or TF32.
  return jnp.einsum(
    'yi,xj,ijd->yxd',
    height,
    width,
    grid,
    precision=jax.lax.Precision.HIGHEST,
  )


def _weights(n: int, out: int, step: float, antialias: bool) -> np.ndarray:
  """Returns the [out, n] matrix of one axis."""
  source = (np.arange(out) + 0.5) * step - 0.5
  if antialias:
    distance = np.arange(n) - source[:, None]
    weights = _cubic(distance / max(step, 1.0), -0.5)
    return weights / weights.sum(1, keepdims=True)
  weights = np.zeros((out, n))
  low = np.floor(source).astype(int)
  for tap in range(-1, 3):
    pixel = low + tap
    share = _cubic(source - pixel, -0.75)
    np.add.at(weights, (np.arange(out), np.clip(pixel, 0, n - 1)), share)
  return weights


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
  """Returns Keys' cubic convolution kernel of parameter a."""
  x = np.abs(x)
  near = ((a + 2) * x - (a + 3)) * x * x + 1
  far = (((x - 5) * x + 8) * x - 4) * a
  return np.where(x <= 1, near, np.where(x < 2, far, 0))
