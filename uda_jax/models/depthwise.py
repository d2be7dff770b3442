"""Depthwise convolution in a form that is fast on the backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import contextvars
import functools

import jax
import jax.numpy as jnp

Padding = Sequence[tuple[int, int]]

# Rows that the kernel's gradient takes at a time.
_BLOCK = 4
_chosen = contextvars.ContextVar('form of depthwise convolutions', default='')


def default_form() -> str:
  """Returns the form that `traced_as` sets, or that of the default backend.

  XLA:CPU runs a grouped convolution some 20 times slower, forward and
  backward, than the same sum written as shifted multiply-adds. GPUs and TPUs
  have kernels for it.
  """
  on_cpu = jax.default_backend() == 'cpu'
  return _chosen.get() or ('shifted' if on_cpu else 'conv')


@contextlib.contextmanager
def traced_as(form: str) -> Iterator[None]:
  """Sets the form used inside the context, for programs of another backend."""
  token = _chosen.set(form)
  try:
    yield
  finally:
    _chosen.reset(token)


def convolve(
  x: jax.Array,
  kernel: jax.Array,
  *,
  stride: int,
  dilation: int,
  padding: Padding,
  form: str,
) -> jax.Array:
  """Returns the depthwise convolution of an image.

  Args:
    x: [B, H, W, C] float.
    kernel: [k, k, 1, C] of the same dtype, one filter a channel.
    stride: step of both axes.
    dilation: spacing of the kernel's taps.
    padding: zeros before and after, for rows and for columns.
    form: 'conv' is one grouped convolution, 'shifted' the sum over taps of
      shifted images; both give the same up to rounding. 'by_platform': chosen
      when the program is compiled.
  """
  if form == 'by_platform':
    of_form = functools.partial(
      convolve, stride=stride, dilation=dilation, padding=padding
    )
    return jax.lax.platform_dependent(
      x,
      kernel,
      cpu=functools.partial(of_form, form='shifted'),
      default=functools.partial(of_form, form='conv'),
    )
  if form == 'shifted':
    hashable = tuple((before, after) for before, after in padding)
    return _shifted(x, kernel, stride, dilation, hashable)
  if form != 'conv':
    raise ValueError(
      f"form must be 'conv', 'shifted' or 'by_platform', got {form!r}."
    )
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    rhs_dilation=(dilation, dilation),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=x.shape[-1],
  )


def _sum_of_shifts(
  x: jax.Array,
  kernel: jax.Array,
  stride: int,
  dilation: int,
  padding: Padding,
) -> jax.Array:
  """Returns sum over (i, j) of kernel[i, j] times x shifted by (i, j)."""
  size = kernel.shape[0]
  extent = (size - 1) * dilation + 1
  height, width = (
    (n + sum(pad) - extent) // stride + 1
    for n, pad in zip(x.shape[1:3], padding)
  )
  dtype = jnp.promote_types(x.dtype, jnp.float32)
  kernel = kernel.astype(dtype)
  padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  total = jnp.zeros((), dtype)
  for i in range(size):
    rows = _taps(i * dilation, height, stride)
    for j in range(size):
      cols = _taps(j * dilation, width, stride)
      total += padded[:, rows, cols].astype(dtype) * kernel[i, j, 0]
  return total.astype(x.dtype)


def _taps(start: int, count: int, stride: int) -> slice:
  return slice(start, start + (count - 1) * stride + 1, stride)


_shifted = jax.custom_vjp(_sum_of_shifts, nondiff_argnums=(2, 3, 4))


def _forward(x, kernel, stride, dilation, padding):
  out = _sum_of_shifts(x, kernel, stride, dilation, padding)
  return out, (x, kernel)


def _backward(stride, dilation, padding, saved, grad):
  x, kernel = saved
  return (
    _image_gradient(x, kernel, stride, dilation, padding, grad),
    _kernel_gradient(x, kernel, stride, dilation, padding, grad),
  )


_shifted.defvjp(_forward, _backward)


def _image_gradient(x, kernel, stride, dilation, padding, grad) -> jax.Array:
  """Returns the sum over taps of grad shifted back, one phase at a time.

  The pixels of one phase, `stride` apart, meet the same taps; gathering for
  them is quicker than scattering every tap's product into the image.
  """
  size = kernel.shape[0]
  dtype = jnp.promote_types(x.dtype, jnp.float32)
  height, width = (-(-n // stride) for n in x.shape[1:3])
  shifts = [
    [_phase_taps(phase, low, size, stride, dilation) for phase in range(stride)]
    for low, _ in padding
  ]
  (above, below), (before, after) = (
    _room(axis, count, given)
    for axis, count, given in zip(shifts, (height, width), grad.shape[1:3])
  )
  grad = jnp.pad(
    grad.astype(dtype), ((0, 0), (above, below), (before, after), (0, 0))
  )

  def phase(rows: list, cols: list) -> jax.Array:
    total = jnp.zeros((grad.shape[0], height, width, grad.shape[3]), dtype)
    for i, down in rows:
      for j, right in cols:
        top, left = above + down, before + right
        piece = grad[:, top : top + height, left : left + width]
        total += piece * kernel[i, j, 0].astype(dtype)
    return total

  phases = jnp.stack(
    [jnp.stack([phase(r, c) for c in shifts[1]], 3) for r in shifts[0]], 2
  )
  batch, channels = x.shape[0], x.shape[3]
  whole = phases.reshape(batch, height * stride, width * stride, channels)
  return whole[:, : x.shape[1], : x.shape[2]].astype(x.dtype)


def _phase_taps(
  phase: int, low: int, size: int, stride: int, dilation: int
) -> list[tuple[int, int]]:
  """Returns the taps that meet the pixels of a phase, and their shifts."""
  return [
    (i, (phase + low - i * dilation) // stride)
    for i in range(size)
    if (phase + low - i * dilation) % stride == 0
  ]


def _room(
  phases: list[list[tuple[int, int]]], count: int, given: int
) -> tuple[int, int]:
  """Returns the zeros before and after that the shifts of an axis reach into.

  Wide dilations make them large: any more, and the padded image is several
  times the size of the gradient.
  """
  moves = [shift for taps in phases for _, shift in taps]
  return max(0, -min(moves)), max(0, max(moves) + count - given)


def _kernel_gradient(x, kernel, stride, dilation, padding, grad) -> jax.Array:
  """Returns the sum over pixels of grad times x shifted by each tap.

  A reduction over shifted images, as automatic differentiation writes it,
  runs through the whole memory for every tap, and XLA:CPU does not vectorize
  it. So: blocks of rows that fit the cache, whose products are added up row by
  row (vectorized) before one plain reduction; 10 times faster.
  """
  size = kernel.shape[0]
  height, width = grad.shape[1:3]
  dtype = jnp.promote_types(x.dtype, jnp.float32)
  blocks = -(-height // _BLOCK)
  spare = blocks * _BLOCK - height
  grad = jnp.pad(grad, ((0, 0), (0, spare), (0, 0), (0, 0)))
  (top, bottom), sides = padding
  padded = jnp.pad(x, ((0, 0), (top, bottom + spare * stride), sides, (0, 0)))
  span = (_BLOCK - 1) * stride + 1

  def one_block(block: jax.Array) -> jax.Array:
    first = block * _BLOCK
    grads = jax.lax.dynamic_slice_in_dim(grad, first, _BLOCK, 1).astype(dtype)

    def one_tap_row(i: jax.Array) -> jax.Array:
      start = first * stride + i * dilation
      rows = jax.lax.dynamic_slice_in_dim(padded, start, span, 1).astype(dtype)
      products = []
      for j in range(size):
        shifted = rows[:, :, _taps(j * dilation, width, stride)]
        products.append(
          sum(shifted[:, q * stride] * grads[:, q] for q in range(_BLOCK))
        )
      # Without the barrier the two sums would become one slow reduction.
      products = jax.lax.optimization_barrier(jnp.stack(products))
      return jnp.sum(products, (1, 2))

    return jax.lax.map(one_tap_row, jnp.arange(size))

  sums = jax.lax.map(one_block, jnp.arange(blocks))
  return jnp.sum(sums, 0)[:, :, None].astype(kernel.dtype)
