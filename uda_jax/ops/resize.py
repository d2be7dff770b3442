"""Resizing of images, feature maps and label maps with PyTorch's conventions.

Published networks expect half-pixel centers without antialiasing and nearest
pixels `floor(i * in / out)`; `jax.image.resize` antialiases when it shrinks and
picks other nearest pixels. Differentiable values are not gathered: gradients
are slices, pads and matrix products, fast and deterministic on every backend.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.ops import dtypes


def bilinear(
  x: jax.Array, size: tuple[int, ...], *, align_corners: bool = False
) -> jax.Array:
  """Resizes bilinearly, without antialiasing.

  Equals `torch.nn.functional.interpolate(size=size, mode='bilinear')`.

  Args:
    x: [..., H, W, C] float, finite, as 0 times infinity is NaN; the dtype is
      kept.
    size: the new (height, width).
    align_corners: align the centers of the corner pixels (DeepLab-v2's heads);
      False: half-pixel centers.

  Returns:
    [..., height, width, C].

  Raises:
    TypeError: `x` is not float.

  Example:
    >>> x = jnp.array([0.0, 4.0]).reshape(1, 2, 1)
    >>> print(bilinear(x, (1, 4))[0, :, 0])
    [0. 1. 3. 4.]
    >>> print(bilinear(x, (1, 5), align_corners=True)[0, :, 0])
    [0. 1. 2. 3. 4.]
  """
  steps = [_step(n, out, align_corners) for n, out in zip(x.shape[-3:-1], size)]
  return _separable(x, size, steps, align_corners)


def bilinear_by_factor(x: jax.Array, factor: float) -> jax.Array:
  """Resizes bilinearly by a factor; the new size is rounded down.

  Coordinates use the factor itself, (i + 0.5) / factor - 0.5, as in
  `torch.nn.functional.interpolate(scale_factor=factor)`.

  Args:
    x: [..., H, W, C] float, finite, as 0 times infinity is NaN; the dtype is
      kept.
    factor: > 0, such as 0.5 or 2.

  Returns:
    [..., floor(H * factor), floor(W * factor), C].

  Raises:
    TypeError: `x` is not float.

  Example:
    >>> x = jnp.arange(5.0).reshape(1, 5, 1).repeat(2, 0)
    >>> print(bilinear_by_factor(x, 0.5)[0, :, 0])
    [0.5 2.5]
  """
  size = tuple(int(n * factor) for n in x.shape[-3:-1])
  return _separable(x, size, [1 / factor] * 2, False)


def bicubic(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Resizes bicubically, without antialiasing; values may overshoot.

  Equals `torch.nn.functional.interpolate(size=size, mode='bicubic')`: Keys'
  kernel with a = -0.75, half-pixel centers, edge pixels repeated.

  Args:
    x: [..., H, W, C] float, finite, as 0 times infinity is NaN; the dtype is
      kept.
    size: the new (height, width).

  Returns:
    [..., height, width, C]; `x` itself if it has this size.

  Raises:
    TypeError: `x` is not float and has another size.

  Example:
    >>> x = jnp.array([0.0, 0.0, 4.0, 4.0]).reshape(1, 4, 1)
    >>> print(bicubic(x, (1, 2))[0, :, 0])
    [-0.375  4.375]
  """
  for axis, out in zip((x.ndim - 3, x.ndim - 2), size):
    if x.shape[axis] != out:
      _check_float(x)
      weights = _cubic_weights(x.shape[axis], out).astype(x.dtype)
      product = jnp.tensordot(
        x, weights, ((axis,), (1,)), precision=jax.lax.Precision.HIGHEST
      )
      x = jnp.moveaxis(product, -1, axis)
  return x


def nearest(label: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Resizes a map to the pixels `floor(i * in / out)`.

  Args:
    label: [..., H, W], any dtype; ignored pixels are picked like others.
    size: the new (height, width).

  Returns:
    [..., height, width].

  Example:
    >>> print(nearest(jnp.array([[1, 2, 255]]), (1, 5)))
    [[  1   1   2   2 255]]
  """
  for axis, out in zip((-2, -1), size):
    n = label.shape[axis]
    if n != out:
      # In float32, as in PyTorch: some exact quotients are rounded down to the
      # pixel before.
      index = np.arange(out, dtype=np.float32) * (np.float32(n) / out)
      label = jnp.take(label, np.minimum(index.astype(int), n - 1), axis=axis)
  return label


def _step(n: int, out: int, align_corners: bool) -> float:
  """Distance of neighboring output pixels in input pixels."""
  if align_corners:
    return (n - 1) / max(out - 1, 1)
  return n / out


def _check_float(x: jax.Array) -> None:
  """Raises TypeError for integers, which would round the weights to 0 and 1."""
  dtypes.check_float(
    x, name='x', advice='convert images first, `nearest` is for label maps'
  )


def _separable(
  x: jax.Array,
  size: tuple[int, ...],
  steps: list[float],
  align_corners: bool,
) -> jax.Array:
  """Resizes both axes, first the one that shrinks more."""
  _check_float(x)
  axes = sorted(
    zip((x.ndim - 3, x.ndim - 2), size, steps),
    key=lambda axis: axis[1] / x.shape[axis[0]],
  )
  for axis, out, step in axes:
    x = _resize_axis(x, axis, out, step, align_corners)
  return x


def _resize_axis(
  x: jax.Array, axis: int, out: int, step: float, align_corners: bool
) -> jax.Array:
  """Resizes one axis by shifted copies if the step allows, else by a matmul."""
  n = x.shape[axis]
  if n == out and step == 1:
    return x
  if not align_corners and step == int(step):
    return _shrink_axis(x, axis, out, int(step))
  if not align_corners and step * out == n and out % n == 0:
    return _enlarge_axis(x, axis, out // n)
  weights = _weights(n, out, step, align_corners).astype(x.dtype)
  # Full precision: accelerators multiply in bfloat16 or TF32 otherwise.
  product = jnp.tensordot(
    x, weights, ((axis,), (1,)), precision=jax.lax.Precision.HIGHEST
  )
  return jnp.moveaxis(product, -1, axis)


def _shrink_axis(x: jax.Array, axis: int, out: int, step: int) -> jax.Array:
  """Shrinks by an integer: middle pixel, or mean of the middle two pixels."""
  pick = lambda start: jax.lax.slice_in_dim(
    x, start, start + (out - 1) * step + 1, step, axis
  )
  if step % 2:
    return pick(step // 2)
  return 0.5 * (pick(step // 2 - 1) + pick(step // 2))


def _enlarge_axis(x: jax.Array, axis: int, factor: int) -> jax.Array:
  """Enlarges by an integer: each phase is a weighted mean of two neighbors."""
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


def _weights(n: int, out: int, step: float, align_corners: bool) -> np.ndarray:
  """Interpolation matrix [out, n] of one axis."""
  i = np.arange(out)
  source = i * step if align_corners else (i + 0.5) * step - 0.5
  source = np.clip(source, 0, n - 1)
  low = np.minimum(source.astype(int), n - 1)
  fraction = source - low
  weights = np.zeros((out, n))
  weights[i, low] = 1 - fraction
  weights[i, np.minimum(low + 1, n - 1)] += fraction
  return weights


def _cubic_weights(n: int, out: int) -> np.ndarray:
  """Interpolation matrix [out, n] of one axis."""
  source = (np.arange(out) + 0.5) * (n / out) - 0.5
  weights = np.zeros((out, n))
  for tap in range(-1, 3):
    place = np.floor(source) + tap
    index = np.clip(place.astype(int), 0, n - 1)
    np.add.at(
      weights, (np.arange(out), index), _keys_kernel(np.abs(source - place))
    )
  return weights


def _keys_kernel(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
  """Keys' cubic convolution kernel at distances in 0..2."""
  d = distance
  near = ((a + 2) * d - (a + 3)) * d**2 + 1
  far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
  return np.where(d <= 1, near, far)
