"""Separable filters of images."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.ops import dtypes


def gaussian_kernel(sigma: jax.Array | float, *, size: int) -> jax.Array:
  """Samples a Gaussian at the pixels of a filter.

  Args:
    sigma: [...] float > 0, standard deviation in pixels.
    size: odd number of taps.

  Returns:
    [..., size] float, sums to 1.

  Example:
    >>> print(gaussian_kernel(1.0, size=3))
    [0.2741 0.4519 0.2741]
  """
  sigma = jnp.asarray(sigma)[..., None]
  x = np.arange(size) - (size - 1) // 2
  weights = jnp.exp(-(x**2) / (2 * sigma**2))
  return weights / weights.sum(-1, keepdims=True)


def separable_filter(
  image: jax.Array, vertical: jax.Array, horizontal: jax.Array
) -> jax.Array:
  """Filters columns, then rows, reflecting at the borders.

  The edge pixel is not repeated (OpenCV's BORDER_REFLECT_101).

  Args:
    image: [B, H, W, C] float or int, any values; the dtype is kept. Each side
      is longer than half the kernel.
    vertical: [B or 1, taps] kernel along H, an odd number of taps.
    horizontal: [B or 1, taps] kernel along W.

  Returns:
    [B, H, W, C].

  Raises:
    TypeError: a kernel is float and `image` is not.

  Example:
    >>> image = jnp.array([0, 0, 4, 8]).reshape(1, 1, 4, 1)
    >>> kernel = jnp.array([[1, 2, 1]])
    >>> print(separable_filter(image, jnp.array([[1]]), kernel)[0, 0, :, 0])
    [ 0  4 16 24]
  """
  for axis, kernel in ((1, vertical), (2, horizontal)):
    if jnp.issubdtype(kernel.dtype, jnp.floating):
      dtypes.check_float(image, name='image')
    kernel = kernel.astype(image.dtype)
    taps = kernel.shape[-1]
    radius = taps // 2
    pad = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(image, pad, mode='reflect')
    length, image = image.shape[axis], jnp.zeros_like(image)
    for i in range(taps):
      shifted = jax.lax.slice_in_dim(padded, i, i + length, axis=axis)
      image += kernel[:, i, None, None, None] * shifted
  return image
