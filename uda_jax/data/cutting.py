"""Windows of resized images, cut out in TensorFlow graphs.

All sizes are (height, width). A window is cut out of the (virtual) resized
image in the same operation that resizes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from uda_jax.data import image_resize


class Window(NamedTuple):
  """Box of a resized image: `size` pixels from `start` on, of `full`."""

  start: tf.Tensor
  size: tf.Tensor
  full: tf.Tensor


def _slice(image: tf.Tensor, window: Window) -> tf.Tensor:
  """Returns the window of an image that has its size already."""
  image = tf.convert_to_tensor(image)
  rest = image.shape.rank - 2
  return tf.slice(
    image,
    tf.pad(window.start, [[0, rest]]),
    tf.concat([window.size, tf.fill([rest], -1)], 0),
  )


def _bilinear(image: tf.Tensor, window: Window) -> tf.Tensor:
  # Faster than the operation that resizes only the window, unless windows are
  # small, and to the same bits wherever a window lies.
  whole = tf.raw_ops.ResizeBilinear(
    images=image[None], size=window.full, half_pixel_centers=True
  )[0]
  # Within 0..255 already, where a cast rounds down.
  return tf.cast(_slice(whole, window) + 0.5, tf.uint8)


def _pillow_bilinear(image: tf.Tensor, window: Window) -> tf.Tensor:
  # Pillow itself: its weights are fixed-point numbers.
  whole = tf.numpy_function(
    image_resize.pillow_bilinear, [image, window.full], tf.uint8, stateful=False
  )
  whole.set_shape([None, None, image.shape[2]])
  return _slice(whole, window)


def _scale(image: tf.Tensor, window: Window) -> tf.Tensor:
  """Returns the uint8 window of the image resized by an antialiased cubic."""
  scale = tf.cast(
    tf.cast(window.full, tf.float64) / tf.cast(tf.shape(image)[:2], tf.float64),
    tf.float32,
  )
  # A translation changes how positions round, so that gray levels differ by 1
  # here and there from those of the whole image. Where images shrink, windows
  # are computed from the corner on instead, to equal `resized_copies`;
  # where they grow this would cost much, and nobody wants copies.
  shrinks = tf.reduce_all(window.full <= tf.shape(image)[:2])
  before = tf.where(shrinks, window.start, 0)
  pixels = tf.raw_ops.ScaleAndTranslate(
    images=image[None],
    size=window.size + before,
    scale=scale,
    translation=tf.cast(before - window.start, tf.float32),
    kernel_type='keyscubic',
    antialias=True,
  )[0]
  pixels = tf.floor(pixels[before[0] :, before[1] :] + 0.5)
  return tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8)


def _bicubic(image: tf.Tensor, window: Window) -> tf.Tensor:
  # First the columns, rounded to 8 bit, then the rows: gray levels differ by
  # several if the rounding in between is left out.
  size = tf.shape(image)[:2]
  mixed = lambda rows, columns: tf.stack([rows[0], columns[1]])
  columns = Window(
    mixed([0], window.start), mixed(size, window.size), mixed(size, window.full)
  )
  rows = Window(
    mixed(window.start, [0, 0]), window.size, mixed(window.full, window.size)
  )
  return _scale(_scale(image, columns), rows)


def _floor_samples(old: tf.Tensor, full: tf.Tensor) -> tf.Tensor:
  """Returns the row of each of `full` samples as OpenCV's nearest takes it.

  The floor of the place times a step that OpenCV divides twice for, in double
  precision: where the product is a whole number, it can come out one row
  before (720 rows to 800, 1914 to 1024).
  """
  step = 1 / (tf.cast(full, tf.float64) / tf.cast(old, tf.float64))
  return tf.cast(tf.floor(tf.cast(tf.range(full), tf.float64) * step), tf.int32)


def pillow_samples(old: tf.Tensor, full: tf.Tensor) -> tf.Tensor:
  """Returns the row of each of `full` samples as Pillow's nearest takes it.

  Pillow starts in the middle of the first sample and adds the step again and
  again, in double precision. Where a sample falls on the border of two rows (24
  rows to 20, 1024 to 640), the rounding of these sums decides.
  """
  step = tf.cast(old, tf.float64) / tf.cast(full, tf.float64)
  steps = tf.concat([[0.5 * step], tf.fill([full - 1], step)], 0)
  return tf.cast(tf.cumsum(steps), tf.int32)


class _Resize(NamedTuple):
  # (image, window) -> uint8 window of the resized image.
  cut: Callable[[tf.Tensor, Window], tf.Tensor]
  # (old, new number of rows) -> the old row of each new one, for labels.
  label_samples: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


RESIZE = {
  'bilinear': _Resize(_bilinear, _floor_samples),
  'bicubic': _Resize(_bicubic, pillow_samples),
  'pillow_bilinear': _Resize(_pillow_bilinear, pillow_samples),
}


def cut_image(image: tf.Tensor, window: Window, resize: str) -> tf.Tensor:
  """Returns the uint8 window [h, w, N] of the resized image."""
  return tf.cond(
    tf.reduce_all(tf.shape(image)[:2] == window.full),
    lambda: _slice(image, window),
    lambda: RESIZE[resize].cut(image, window),
  )


def cut_label(label: tf.Tensor, window: Window, resize: str) -> tf.Tensor:
  """Returns the uint8 window [h, w] of the label, resized by nearest."""
  size = tf.shape(label)

  def samples(start, count, full, old):
    rows = RESIZE[resize].label_samples(old, full)[start : start + count]
    return tf.minimum(rows, old - 1)

  def resized():
    rows, columns = map(samples, *map(tf.unstack, (*window, size)))
    return tf.gather(tf.gather(label, rows), columns, axis=1)

  return tf.cond(
    tf.reduce_all(size == window.full), lambda: _slice(label, window), resized
  )
