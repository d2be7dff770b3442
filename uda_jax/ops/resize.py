"""Resizing of images, feature maps and label maps, as PyTorch does it.

`jax.image.resize` antialiases when shrinking and its `nearest` picks other
pixels; published networks expect half-pixel centres without antialiasing and
`floor(i * in / out)`. No gather touches a differentiable value here: gradients
are slices, pads and matrix products, fast on every backend and deterministic.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def bilinear(
  x: jax.Array, size: tuple[int, int], *, align_corners: bool = False
) -> jax.Array:
  """Resizes bilinearly, without antialiasing.

  Equals `torch.nn.functional.interpolate(size=size, mode='bilinear')`.

  Args:
    x: [..., H, W, C] float, any values; the dtype is kept.
    size: the new (height, width).
    align_corners: map corner pixels onto corner pixels (DeepLab-v2's heads)
      instead of half-pixel centres.

  Returns:
    [..., height, width, C].
  """
  steps = [_step(n, out, align_corners) for n, out in zip(x.shape[-3:-1], size)]
  return _separable(x, size, steps, align_corners)


def bilinear_by_factor(x: jax.Array, factor: float) -> jax.Array:
  """Resizes bilinearly by a factor; sizes are rounded down.

  The source coordinate is (i + 0.5) / factor - 0.5, whatever the rounding, as
  in `torch.nn.functional.interpolate(scale_factor=factor)`.

  Args:
    x: [..., H, W, C] float, any values; the dtype is kept.
    factor: > 0, such as 0.5 or 2.

  Returns:
    [..., floor(H * factor), floor(W * factor), C].
  """
  size = tuple(int(n * factor) for n in x.shape[-3:-1])
  return _separable(x, size, [1 / factor] * 2, False)


def bicubic(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Resizes bicubically, without antialiasing; values may overshoot.

  Equals `torch.nn.functional.interpolate(size=size, mode='bicubic')`: Keys'
  kernel with a = -0.75, half-pixel centres, edges repeated.

  Args:
    x: [..., H, W, C] float, any values; the dtype is kept.
    size: the new (height, width).

  Returns:
    [..., height, width, C].
  """
  for axis, out in zip((x.ndim - 3, x.ndim - 2), size):
    if x.shape[axis] != out:
      weights = _cubic_weights(x.shape[axis], out).astype(x.dtype)
      product = jnp.tensordot(
        x, weights, ((axis,), (1,)), precision=jax.lax.Precision.HIGHEST
      )
      x = jnp.moveaxis(product, -1, axis)
  return x


def nearest(label: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Resizes a map by picking the pixel `floor(i * in / out)`.

  Args:
    label: [..., H, W], any dtype; ignored pixels are picked like others.
    size: the new (height, width).

  Returns:
    [..., height, width].
  """
  for axis, out in zip((-2, -1), size):
    n = label.shape[axis]
    if n != out:
      # In float32, as PyTorch: some exact quotients round down to the pixel
      # before.
      index = np.arange(out, dtype=np.float32) * (np.float32(n) / out)
      label = jnp.take(label, np.minimum(index.astype(int), n - 1), axis=axis)
  return label


def _step(n: int, out: int, align_corners: bool) -> float:
  """The distance of neighbouring output pixels, in input pixels."""
  if align_corners:
    return (n - 1) / max(out - 1, 1)
  return n / out


def _separable(x, size, steps, align_corners):
  """Resizes both axes, the one that shrinks most first."""
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise TypeError(
      f'bilinear resize: expected a float array, got {x.dtype}; '
      'convert images first, use `nearest` for label maps'
    )
  axes = sorted(
    zip((x.ndim - 3, x.ndim - 2), size, steps),
    key=lambda axis: axis[1] / x.shape[axis[0]],
  )
  for axis, out, step in axes:
    x = _resize_axis(x, axis, out, step, align_corners)
  return x


def _resize_axis(x, axis, out, step, align_corners):
  """Resizes one axis: by shifted copies where the step allows, else matmul."""
  n = x.shape[axis]
  if n == out and step == 1:
    return x
  if not align_corners and step == int(step):
    return _shrink_axis(x, axis, out, int(step))
  if not align_corners and step * out == n and out % n == 0:
    return _enlarge_axis(x, axis, out // n)
  weights = _weights(n, out, step, align_corners).astype(x.dtype)
  # In full precision: accelerators would multiply in bfloat16 or TF32.
  product = jnp.tensordot(
    x, weights, ((axis,), (1,)), precision=jax.lax.Precision.HIGHEST
  )
  return jnp.moveaxis(product, -1, axis)


def _shrink_axis(x, axis, out, step):
  """Shrinks by an integer: the middle pixel, or the mean of the middle two."""
  pick = lambda start: jax.lax.slice_in_dim(
    x, start, start + (out - 1) * step + 1, step, axis
  )
  if step % 2:
    return pick(step // 2)
  return 0.5 * (pick(step // 2 - 1) + pick(step // 2))


def _enlarge_axis(x, axis, factor):
  """Enlarges by an integer: every phase is a fixed mean of two neighbours."""
  n = x.shape[axis]
  part = lambda start, stop: jax.lax.slice_in_dim(x, start, stop, axis=axis)
  previous = jnp.concatenate([part(0, 1), part(0, n - 1)], axis)
  following = jnp.concatenate([part(1, n), part(n - 1, n)], axis)
  phases = []
  for i in range(factor):
    shift = (i + 0.5) / factor - 0.5
    other = previous if shift < 0 else following
    phases.append((1 - abs(shift)) * x + abs(shift) * other)
  stacked = jnp.stack(phases, axis + 1)
  return stacked.reshape(*x.shape[:axis], n * factor, *x.shape[axis + 1 :])


def _weights(n, out, step, align_corners) -> np.ndarray:
  """Returns the [out, n] matrix of one axis."""
  i = np.arange(out)
  source = i * step if align_corners else (i + 0.5) * step - 0.5
  source = np.clip(source, 0, n - 1)
  low = np.minimum(source.astype(int), n - 1)
  share = source - low
  weights = np.zeros((out, n))
  weights[i, low] = 1 - share
  weights[i, np.minimum(low + 1, n - 1)] += share
  return weights


def _cubic_weights(n, out) -> np.ndarray:
  """Returns the [out, n] matrix of one axis."""
  source = (np.arange(out) + 0.5) * (n / out) - 0.5
  weights = np.zeros((out, n))
  for tap in range(-1, 3):
    place = np.floor(source) + tap
    index = np.clip(place.astype(int), 0, n - 1)
    np.add.at(
      weights, (np.arange(out), index), _keys_kernel(np.abs(source - place))
    )
  return weights


def _keys_kernel(distance, a=-0.75) -> np.ndarray:
  """Keys' cubic convolution kernel at distances in 0..2."""
  d = distance
  near = ((a + 2) * d - (a + 3)) * d**2 + 1
  far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
  return np.where(d <= 1, near, far)
