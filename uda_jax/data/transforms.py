"""From image files to training examples: decode, resize, crop, flip.

All sizes are (height, width). An example is read once: the crop window is cut
out of the (virtual) resized image in the same operation that resizes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from uda_jax import labels as labels_lib
from uda_jax.data import sampling

IGNORE = labels_lib.IGNORE_LABEL
# DAFormer's released code: a crop and 10 further ones, the last unchecked.
DRAWS = 11


class Spec(NamedTuple):
  """How images of one domain become training examples.

  Attributes:
    image_size: the size that images are resized to, (0, 0) = as they are.
    keep_ratio: resize to fit into `image_size` (in either orientation) with
      the ratio of the sides kept, instead of exactly to `image_size`.
    resize: 'bilinear' as OpenCV has it: no antialiasing, labels by floor; or
      'bicubic' as Pillow has it: antialiased, labels by nearest centre.
    crop_size: the size of the random crop, (0, 0) = the whole image.
    scale_range: (lowest, highest) of a uniform random factor on the size.
    max_class_share: a labelled crop is drawn again (up to 10 times) unless it
      has two classes or more and the most frequent one has less than this
      share of its labelled pixels; 1 = any crop will do.
    flip: mirror left-right every second time.
    margins: (top, bottom, left, right) of the resized image, in pixels, that
      are not `trusted`.
    pad: fill images smaller than the crop (image 0, label 255, not trusted)
      instead of refusing them.
  """

  image_size: tuple[int, int] = (0, 0)
  keep_ratio: bool = False
  resize: str = 'bilinear'
  crop_size: tuple[int, int] = (0, 0)
  scale_range: tuple[float, float] = (1.0, 1.0)
  max_class_share: float = 1.0
  flip: bool = False
  margins: tuple[int, int, int, int] = (0, 0, 0, 0)
  pad: bool = False


class _Kernel(NamedTuple):
  name: str
  antialias: bool
  # Where in its cell a nearest-neighbour sample of the label lies.
  label_offset: float
  # Resizes the columns, rounds to 8 bit, then the rows: grey levels differ by
  # several if the rounding in between is left out.
  round_between: bool


RESIZE = {
    'bilinear': _Kernel('triangle', False, 0.0, False),
    'bicubic': _Kernel('keyscubic', True, 0.5, True),
}


class Window(NamedTuple):
  """A box of a resized image: `size` pixels from `start` on, of `full`."""

  start: tf.Tensor
  size: tf.Tensor
  full: tf.Tensor


class Wanted(NamedTuple):
  """A crop must hold more than `pixels` pixels of class `class_id`."""

  class_id: tf.Tensor
  pixels: float


def read_image(path: tf.Tensor) -> tf.Tensor:
  """Returns the uint8 [H, W, 3] pixels of a JPEG or PNG file."""
  # This operation reads PNG as well; INTEGER_ACCURATE is what Pillow, OpenCV
  # and PyTorch's loaders decode with.
  return tf.io.decode_jpeg(tf.io.read_file(path), channels=3,
                           dct_method='INTEGER_ACCURATE')


def read_label(path: tf.Tensor) -> tf.Tensor:
  """Returns the uint8 [H, W] train ids of a prepared label file."""
  return tf.io.decode_png(tf.io.read_file(path), channels=1)[..., 0]


def resized_size(size: tf.Tensor, spec: Spec,
                 factor: tf.Tensor | float = 1.0) -> tf.Tensor:
  """Computes the size that images are resized to.

  Args:
    size: [..., 2] int32 sizes of images.
    spec: `image_size` and `keep_ratio` count.
    factor: the random scale of the image.

  Returns:
    [..., 2] int32.
  """
  if not any(spec.image_size) and isinstance(factor, float) and factor == 1:
    return tf.convert_to_tensor(size, tf.int32)
  exact = tf.cast(size, tf.float64)
  if any(spec.image_size):
    wanted = tf.constant(spec.image_size, tf.float64)
    if spec.keep_ratio:
      ratio = tf.minimum(
          tf.reduce_max(wanted) / tf.reduce_max(exact, -1, keepdims=True),
          tf.reduce_min(wanted) / tf.reduce_min(exact, -1, keepdims=True))
      exact = tf.floor(exact * ratio + 0.5)
    else:
      exact = tf.broadcast_to(wanted, tf.shape(exact))
  return tf.cast(tf.floor(exact * tf.cast(factor, tf.float64) + 0.5), tf.int32)


def _scale(image: tf.Tensor, window: Window, kernel: _Kernel) -> tf.Tensor:
  """Returns the uint8 window of the image resized to `window.full`."""
  scale = tf.cast(tf.cast(window.full, tf.float64)
                  / tf.cast(tf.shape(image)[:2], tf.float64), tf.float32)
  # A translation changes how positions round, so that grey levels differ by 1
  # here and there from those of the whole image. Where images shrink, windows
  # are computed from the corner on instead, to equal `resized_copies`;
  # where they grow this would cost much, and nobody wants copies.
  shrinks = tf.reduce_all(window.full <= tf.shape(image)[:2])
  before = tf.where(shrinks, window.start, 0)
  pixels = tf.raw_ops.ScaleAndTranslate(
      images=image[None], size=window.size + before, scale=scale,
      translation=tf.cast(before - window.start, tf.float32),
      kernel_type=kernel.name, antialias=kernel.antialias)[0]
  pixels = pixels[before[0]:, before[1]:]
  return tf.cast(tf.clip_by_value(tf.floor(pixels + 0.5), 0, 255), tf.uint8)


def cut_image(image: tf.Tensor, window: Window, resize: str) -> tf.Tensor:
  """Returns the uint8 window [h, w, 3] of the resized image."""
  size = tf.shape(image)[:2]

  def exact():
    return tf.slice(image, tf.concat([window.start, [0]], 0),
                    tf.concat([window.size, [3]], 0))

  def interpolate():
    kernel = RESIZE[resize]
    if not kernel.round_between:
      return _scale(image, window, kernel)
    mixed = lambda rows, columns: tf.stack([rows[0], columns[1]])
    columns = Window(mixed([0], window.start), mixed(size, window.size),
                     mixed(size, window.full))
    rows = Window(mixed(window.start, [0, 0]), window.size,
                  mixed(window.full, window.size))
    return _scale(_scale(image, columns, kernel), rows, kernel)

  return tf.cond(tf.reduce_all(size == window.full), exact, interpolate)


def cut_label(label: tf.Tensor, window: Window, resize: str) -> tf.Tensor:
  """Returns the uint8 window [h, w] of the label, resized by nearest."""
  size = tf.shape(label)
  offset = int(2 * RESIZE[resize].label_offset)

  def samples(axis):
    place = window.start[axis] + tf.range(window.size[axis])
    # In integers: floor((place + offset) * size / full).
    place = (2 * place + offset) * size[axis] // (2 * window.full[axis])
    return tf.minimum(place, size[axis] - 1)

  return tf.gather(tf.gather(label, samples(0)), samples(1), axis=1)


def trusted_pixels(window: Window, margins: tuple[int, ...]) -> tf.Tensor:
  """Returns bool [h, w]: which pixels of a window lie inside the margins."""
  inside = []
  for axis, (low, high) in enumerate((margins[:2], margins[2:])):
    place = window.start[axis] + tf.range(window.size[axis])
    inside.append((place >= low) & (place < window.full[axis] - high))
  return inside[0][:, None] & inside[1][None]


def crop_window(share: tf.Tensor, full: tf.Tensor, spec: Spec) -> Window:
  """Returns the crop window that a draw stands for.

  Args:
    share: [2] uniform in [0, 1); all places are equally likely, the last one
      included.
    full: [2] int32, the size of the resized image.
    spec: `crop_size` counts; a smaller image is taken whole.

  Returns:
    The window.
  """
  if not any(spec.crop_size):
    return Window(tf.zeros(2, tf.int32), full, full)
  size = tf.minimum(full, tf.constant(spec.crop_size))
  return Window(sampling.uniform_int(share, full - size + 1), size, full)


def class_counts(label: tf.Tensor, num_classes: int) -> tf.Tensor:
  """Counts the pixels of each class: int32 [num_classes]; 255 is left out."""
  ids = tf.minimum(tf.cast(tf.reshape(label, [-1]), tf.int32), num_classes)
  return tf.math.bincount(ids, minlength=num_classes + 1)[:num_classes]


def accept_crop(counts: tf.Tensor, max_class_share: float) -> tf.Tensor:
  """Whether a crop has several classes, none of them too frequent."""
  labelled = tf.cast(tf.reduce_sum(counts), tf.float32)
  share = tf.cast(tf.reduce_max(counts), tf.float32) / tf.maximum(labelled, 1)
  return (tf.math.count_nonzero(counts) > 1) & (share < max_class_share)


def _first_accepted(make: Callable[[tf.Tensor], Window],
                    accept: Callable[[Window], tf.Tensor]) -> Window:
  """Returns the first of `make(0)` to `make(10)` accepted, else the last."""

  def again(count, window):
    return (count < DRAWS - 1) & ~accept(window)

  def body(count, window):
    del window
    return count + 1, make(count + 1)

  return tf.while_loop(again, body, (tf.constant(0), make(tf.constant(0))))[1]


def choose_window(shares: tf.Tensor, label: tf.Tensor, full: tf.Tensor,
                  spec: Spec, num_classes: int,
                  wanted: Wanted | None = None) -> Window:
  """Chooses the crop of a labelled image.

  DAFormer's rules (specification: data and rare class sampling): a crop that
  one class fills is drawn again; if a rare class was asked for, all that is
  repeated until the crop holds enough of it.

  Args:
    shares: [DRAWS, DRAWS, 2] uniform in [0, 1): crops by attempt at the rare
      class and attempt at the class share.
    label: [H, W] uint8 label at its own size.
    full: [2] int32, the size it will be resized to.
    spec: how to crop.
    num_classes: C.
    wanted: the rare class that was asked for, or None.

  Returns:
    The window.
  """
  def counts(window):
    return class_counts(cut_label(label, window, spec.resize), num_classes)

  def mixed(attempt):
    one = lambda count: crop_window(shares[attempt, count], full, spec)
    if spec.max_class_share >= 1:
      return one(0)
    return _first_accepted(one, lambda window: accept_crop(
        counts(window), spec.max_class_share))

  if wanted is None:
    return mixed(0)
  return _first_accepted(mixed, lambda window: tf.cast(
      counts(window)[wanted.class_id], tf.float32) > wanted.pixels)


def finish(values: dict[str, tf.Tensor], flip: tf.Tensor,
           spec: Spec) -> dict[str, tf.Tensor]:
  """Mirrors and pads image, label and trusted mask alike.

  Args:
    values: 'image' [h, w, 3], 'label' [h, w] and 'trusted' [h, w], or some.
    flip: bool scalar.
    spec: `crop_size` counts; padding goes to the bottom and the right.

  Returns:
    The same at [crop height, crop width].
  """
  fill = {'image': 0, 'label': IGNORE, 'trusted': False}
  result = {}
  for name, value in values.items():
    value = tf.cond(flip, lambda v=value: tf.reverse(v, [1]),
                    lambda v=value: v)
    if any(spec.crop_size):
      missing = tf.constant(spec.crop_size) - tf.shape(value)[:2]
      pads = tf.stack([tf.zeros(2, tf.int32), missing], 1)
      pads = tf.concat([pads, tf.zeros([value.shape.rank - 2, 2], tf.int32)], 0)
      value = tf.pad(value, pads, constant_values=tf.cast(
          fill[name], value.dtype))
      value.set_shape([*spec.crop_size, *value.shape[2:]])
    result[name] = value
  return result
