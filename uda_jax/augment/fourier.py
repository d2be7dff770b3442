"""Fourier domain adaptation: exchange of low-frequency amplitudes.

FDA (arXiv 2004.05498) as in the released code of PixMatch (arXiv 2105.08128).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.ops import dtypes
from uda_jax.ops import resize


def block_side(size: tuple[int, ...], fraction: float) -> int:
  """Side of the square blocks of amplitudes that are exchanged.

  Example:
    >>> block_side((100, 200), 0.05)
    5
  """
  return int(np.floor(min(size) * fraction))


def amplitude_mix(
  content: jax.Array,
  style: jax.Array,
  *,
  fraction: float,
  resize_style: bool = True,
) -> jax.Array:
  """Replaces the low-frequency amplitudes of images by those of others.

  Blocks of b x b amplitudes, b = floor(fraction * shorter side), in the corners
  of the spectrum come from `style`, the phases from `content`. The inverse
  transform uses half of the spectrum (columns 0 to W // 2), so the result is
  real and only the two blocks on the left matter, as long as b < W / 2. A style
  image that is smaller in any dimension is resized first (bicubic).

  Args:
    content: [B, H, W, C] float, any values; computed in float32 or wider, the
      dtype is kept.
    style: [B, H', W', C] float, any values.
    fraction: >= 0, of the shorter side; 0.01 in the paper's runs. Blocks
      larger than the spectrum are cut to it.
    resize_style: resize a larger style image as well. False (released code):
      its amplitudes are read at the content's indices, so that the rows from
      H - b on are not low frequencies.

  Returns:
    [B, H, W, C] float, neither clipped nor rounded; the content if b = 0.

  Raises:
    TypeError: `content` is not float: the result would wrap around in 8 bits.

  Example:
    >>> content = jnp.full((1, 4, 4, 1), 2.0)
    >>> print(amplitude_mix(content, content + 3, fraction=0.25)[0, 0, :, 0])
    [5. 5. 5. 5.]
  """
  dtypes.check_float(content, name='content')
  size, dtype = content.shape[1:3], content.dtype
  # The transform takes no half precision.
  content, style = (
    x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in (content, style)
  )
  smaller = min(np.subtract(style.shape[1:3], size)) < 0
  if smaller or (resize_style and style.shape[1:3] != size):
    style = resize.bicubic(style, size)
  side = block_side(size, fraction)
  # The transform of real input needs half of the columns; the blocks on the
  # right reach it from half of the width on, and then all are exchanged.
  spectrum = jnp.fft.rfft2(content, axes=(1, 2))
  width = side if 2 * side < size[1] else spectrum.shape[2]
  style_spectrum = jnp.fft.fft(
    jnp.fft.fft(style, axis=2)[:, :, :width], axis=1
  )[:, : size[0]]
  amplitude = jnp.abs(style_spectrum)
  rows = np.arange(size[0])[:, None, None]
  swapped = (rows < side) | (rows >= size[0] - side)
  low = spectrum[:, :, :width]
  mixed = jnp.where(swapped, amplitude * _direction(low), low)
  spectrum = jnp.concatenate([mixed, spectrum[:, :, width:]], 2)
  return jnp.fft.irfft2(spectrum, size, axes=(1, 2)).astype(dtype)


def _direction(value: jax.Array) -> jax.Array:
  """Returns exp(i phase); 1 where the value is 0."""
  size = jnp.abs(value)
  return jnp.where(size > 0, value / jnp.where(size > 0, size, 1), 1)
