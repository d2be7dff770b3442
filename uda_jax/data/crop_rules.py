"""Crop windows of training examples by the rules of DAFormer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from uda_jax.data import cutting
from uda_jax.data import sampling
from uda_jax.data import transforms

# DAFormer's released code: a crop and 10 further ones, the last unchecked.
DRAWS = 11


class Wanted(NamedTuple):
  """Condition on a crop: more than `pixels` pixels of class `class_id`."""

  class_id: tf.Tensor
  pixels: float


def crop_window(
  share: tf.Tensor, full: tf.Tensor, spec: transforms.Spec
) -> cutting.Window:
  """Maps uniform numbers to a crop window.

  Args:
    share: [2] uniform in [0, 1); all places are equally likely, the last one
      included.
    full: [2] int32, the size of the resized image.
    spec: `crop_size` counts; a smaller image is taken whole.

  Returns:
    The window.
  """
  if not any(spec.crop_size):
    return cutting.Window(tf.zeros(2, tf.int32), full, full)
  size = tf.minimum(full, tf.constant(spec.crop_size))
  start = sampling.uniform_int(share, full - size + 1)
  return cutting.Window(start, size, full)


def class_counts(label: tf.Tensor, num_classes: int) -> tf.Tensor:
  """Counts the pixels of each class: int32 [num_classes]; 255 is left out."""
  # Passes over what is not below `size`.
  return tf.raw_ops.DenseBincount(
    input=tf.cast(tf.reshape(label, [-1]), tf.int32),
    size=num_classes,
    weights=tf.constant([], tf.int32),
  )


def accept_crop(counts: tf.Tensor, max_class_share: float) -> tf.Tensor:
  """Returns whether a crop has two classes or more, none too frequent."""
  labeled = tf.cast(tf.reduce_sum(counts), tf.float32)
  share = tf.cast(tf.reduce_max(counts), tf.float32) / tf.maximum(labeled, 1)
  return (tf.math.count_nonzero(counts) > 1) & (share < max_class_share)


class _Drawn(NamedTuple):
  """A crop window and the pixels of each class in it."""

  window: cutting.Window
  counts: tf.Tensor


def _first_accepted(
  make: Callable[[tf.Tensor], _Drawn], accept: Callable[[tf.Tensor], tf.Tensor]
) -> _Drawn:
  """Returns the first of `make(0)` to `make(10)` accepted, else the last."""

  def again(count, drawn):
    return (count < DRAWS - 1) & ~accept(drawn.counts)

  def body(count, drawn):
    del drawn
    return count + 1, make(count + 1)

  return tf.while_loop(again, body, (tf.constant(0), make(tf.constant(0))))[1]


def choose_window(
  shares: tf.Tensor,
  label: tf.Tensor,
  full: tf.Tensor,
  spec: transforms.Spec,
  num_classes: int,
  wanted: Wanted | None = None,
) -> cutting.Window:
  """Chooses the crop window of a labeled image.

  DAFormer's rules (specification: data and rare class sampling): a crop that
  one class fills is drawn again; if a rare class was asked for, all that is
  repeated until the crop holds enough of it.

  Args:
    shares: [DRAWS, DRAWS, 2] uniform in [0, 1): crops by attempt at the rare
      class and attempt at the class share.
    label: [H, W] uint8 label, at its own size or resized.
    full: [2] int32, the resized size.
    spec: how to crop.
    num_classes: C.
    wanted: the rare class that was asked for, or None.

  Returns:
    The window.
  """
  if wanted is None and spec.max_class_share >= 1:
    # No crop is refused, so no pixel needs to be counted.
    return crop_window(shares[0, 0], full, spec)

  def draw(attempt, count):
    window = crop_window(shares[attempt, count], full, spec)
    return _Drawn(
      window,
      class_counts(cutting.cut_label(label, window, spec.resize), num_classes),
    )

  def mixed(attempt):
    if spec.max_class_share >= 1:
      return draw(attempt, 0)
    return _first_accepted(
      lambda count: draw(attempt, count),
      lambda counts: accept_crop(counts, spec.max_class_share),
    )

  if wanted is None:
    return mixed(0).window
  return _first_accepted(
    mixed,
    lambda counts: tf.cast(counts[wanted.class_id], tf.float32) > wanted.pixels,
  ).window
