"""Reading, mirroring and padding of images in TensorFlow graphs.

All sizes are (height, width).
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import tensorflow as tf

from uda_jax import labels as labels_lib
from uda_jax.data import bands
from uda_jax.data import cutting
from uda_jax.data import image_size

IGNORE = labels_lib.IGNORE_LABEL


class Spec(NamedTuple):
  """Transforms from images of one domain to training examples.

  Attributes:
    image_size: the size that images are resized to, (0, 0) = as they are,
      (S, 0) = a shorter side of S with the ratio of the sides kept.
    keep_ratio: resize to fit into `image_size` (in either orientation) with
      the ratio of the sides kept, instead of exactly to `image_size`.
    resize: 'bilinear' as OpenCV has it: no antialiasing, labels by floor; or
      'bicubic' or 'pillow_bilinear' as Pillow has them: antialiased, labels by
      nearest center.
    crop_size: the size of the random crop, (0, 0) = the whole image.
    scale_range: (lowest, highest) of a uniform random factor on the size.
    max_class_share: a labeled crop is drawn again (up to 10 times) unless it
      has two classes or more and the most frequent one has less than this
      share of its labeled pixels; 1 = any crop will do.
    flip: mirror left-right every second time.
    margins: (top, bottom, left, right) that are False in `valid_mask`: pixels
      of the resized image or, all below 1, fractions of the image's sides.
    pad: fill images smaller than the crop (image 0, label 255, not valid)
      instead of refusing them.
  """

  image_size: tuple[int, int] = (0, 0)
  keep_ratio: bool = False
  resize: str = 'bilinear'
  crop_size: tuple[int, int] = (0, 0)
  scale_range: tuple[float, float] = (1.0, 1.0)
  max_class_share: float = 1.0
  flip: bool = False
  margins: tuple[float, float, float, float] = (0, 0, 0, 0)
  pad: bool = False


def path_tensor(paths: Any) -> tf.Tensor:
  """Returns a path, or a sequence of paths, as TensorFlow's byte strings."""
  # File names are bytes, which need not be UTF-8.
  if isinstance(paths, list | tuple):
    return tf.constant([os.fsencode(str(path)) for path in paths])
  return tf.constant(os.fsencode(str(paths)))


def read_image(path: tf.Tensor, channels: int = bands.RGB) -> tf.Tensor:
  """Returns the uint8 [H, W, N] pixels of a JPEG or PNG file.

  Args:
    path: a scalar string.
    channels: N; if not 3, the file holds `bands.stacked` channels.
  """
  # This operation reads PNG as well; INTEGER_ACCURATE is what Pillow, OpenCV
  # and PyTorch's loaders decode with.
  pixels = tf.io.decode_jpeg(
    tf.io.read_file(path),
    channels=3 if channels == bands.RGB else 1,
    dct_method='INTEGER_ACCURATE',
  )
  if channels == bands.RGB:
    return pixels
  planes = tf.reshape(pixels, [channels, -1, tf.shape(pixels)[1]])
  return tf.transpose(planes, [1, 2, 0])


def read_label(path: tf.Tensor) -> tf.Tensor:
  """Returns the uint8 [H, W] train ids of a prepared label file."""
  return tf.io.decode_png(tf.io.read_file(path), channels=1)[..., 0]


def resized_size(
  size: tf.Tensor, spec: Spec, factor: tf.Tensor | float = 1.0
) -> tf.Tensor:
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
  exact, factor = tf.cast(size, tf.float64), tf.cast(factor, tf.float64)
  if not any(spec.image_size):
    return tf.maximum(tf.cast(tf.floor(exact * factor + 0.5), tf.int32), 1)
  rule = image_size.Rule(spec.image_size, spec.keep_ratio)
  sides = image_size.fit(exact[..., 0], exact[..., 1], rule, tf, factor)
  # Not -1: TensorFlow takes no shape that is packed along a negative axis.
  sides = tf.stack(sides, exact.shape.rank - 1)
  return tf.maximum(tf.cast(sides, tf.int32), 1)


def valid_mask(
  window: cutting.Window, margins: tuple[float, ...], size: tf.Tensor
) -> tf.Tensor:
  """Returns bool [h, w]: True for pixels of a window inside the margins.

  Args:
    window: of the resized image.
    margins: as of `Spec`; fractions are rounded down to whole pixels of the
      image before it is resized, and then resized by nearest (VFM-UDA).
    size: [2] int32, the size of the image before it is resized.
  """
  if not any(margins):
    return tf.fill(window.size, True)
  inside = []
  for axis, (low, high) in enumerate((margins[:2], margins[2:])):
    place = window.start[axis] + tf.range(window.size[axis])
    full = window.full[axis]
    if max(margins) < 1:
      place = tf.gather(cutting.pillow_samples(size[axis], full), place)
      full = size[axis]
      side = tf.cast(full, tf.float64)
      low, high = (tf.cast(n * side, tf.int32) for n in (low, high))
    inside.append((place >= low) & (place < full - high))
  return inside[0][:, None] & inside[1][None]


def example(
  image: tf.Tensor,
  label: tf.Tensor | None,
  window: cutting.Window,
  flip: tf.Tensor,
  spec: Spec,
) -> dict[str, tf.Tensor]:
  """Makes a training example of an image: resizes, cuts, mirrors, pads.

  Args:
    image: uint8 [H, W, N].
    label: uint8 [H, W] of the image, or resized to `window.full` already; None
      without labels.
    window: what the example shows.
    flip: bool scalar.
    spec: how.

  Returns:
    'image' uint8 [h, w, N], 'valid_mask' bool [h, w], and 'label' uint8 [h, w]
    if there is one.
  """
  values = {
    'image': cutting.cut_image(image, window, spec.resize),
    'valid_mask': valid_mask(window, spec.margins, tf.shape(image)[:2]),
  }
  if label is not None:
    values['label'] = cutting.cut_label(label, window, spec.resize)
  return finish(values, flip, spec)


def finish(
  values: dict[str, tf.Tensor], flip: tf.Tensor, spec: Spec
) -> dict[str, tf.Tensor]:
  """Mirrors and pads image, label and valid mask alike.

  Args:
    values: 'image' [h, w, N], 'label' [h, w] and 'valid_mask' [h, w], or some.
    flip: bool scalar.
    spec: with `pad` or a random scale, the bottom and the right are filled up
      to `crop_size`.

  Returns:
    The same, at `crop_size` if there is one.
  """
  values = tf.cond(
    flip,
    lambda: {k: tf.reverse(v, [1]) for k, v in values.items()},
    lambda: {k: tf.identity(v) for k, v in values.items()},
  )
  if not any(spec.crop_size):
    return values
  # A random scale, in float32, can be a hair below the lowest one that images
  # were checked for: a pixel is missing then.
  if spec.pad or spec.scale_range != (1.0, 1.0):
    values = {name: _pad(name, value, spec) for name, value in values.items()}
  for value in values.values():
    value.set_shape([*spec.crop_size, *value.shape[2:]])
  return values


def _pad(name: str, value: tf.Tensor, spec: Spec) -> tf.Tensor:
  """Fills the bottom and the right of an image, a label or a mask."""
  fill = {'image': 0, 'label': IGNORE, 'valid_mask': False}[name]
  missing = tf.constant(spec.crop_size) - tf.shape(value)[:2]
  pads = tf.stack([tf.zeros(2, tf.int32), missing], 1)
  pads = tf.concat([pads, tf.zeros([value.shape.rank - 2, 2], tf.int32)], 0)
  return tf.pad(value, pads, constant_values=tf.cast(fill, value.dtype))
