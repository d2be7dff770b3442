"""Which image stands at which place of training: pure functions of (seed, k).

Training is one endless sequence of elements k = step * rows + row for each
domain. Nothing here has a state, so any step can be started at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Streams of random numbers: the domains, and what a draw is for.
SOURCE, TARGET = 0, 1
SCALE, CROP, FLIP, CLASS, FILE = range(5)
# The stream of the epochs' orders, where an element's number would stand.
_ORDER = -1


def element_key(seed: int, domain: int,
                element: tf.Tensor | int) -> tf.Tensor:
  """Returns the [2] int64 key of an element; `fold` makes streams of it."""
  return fold(tf.constant([seed, domain], tf.int64), element)


def fold(key: tf.Tensor, data: tf.Tensor | int) -> tf.Tensor:
  """Returns the [2] int64 key of one stream of `key`."""
  return tf.random.experimental.stateless_fold_in(
      key, tf.cast(data, tf.int64))


def permuted_index(seed: int, domain: int, element: tf.Tensor,
                   size: int) -> tf.Tensor:
  """Returns the image of an element: a fresh permutation every epoch.

  Args:
    seed: of the run.
    domain: SOURCE or TARGET, whose orders differ.
    element: int64 scalar k >= 0.
    size: number of images of the data set.

  Returns:
    int64 scalar in [0, size).
  """
  epoch, position = element // size, element % size
  key = fold(element_key(seed, domain, _ORDER), epoch)
  # `max_index` is inclusive.
  return tf.random.experimental.index_shuffle(
      position, seed=key, max_index=tf.constant(size - 1, tf.int64))


class RareClasses(NamedTuple):
  """Tables of rare-class sampling over the C' classes that occur.

  Attributes:
    classes: [C'] int32 train ids, the rarest first.
    probability: [C'] float32, of drawing each class.
    files: [C', M] int32, the images with enough pixels of the class, padded.
    count: [C'] int32, how many entries of each row are images.
  """

  classes: np.ndarray
  probability: np.ndarray
  files: np.ndarray
  count: np.ndarray


def rare_classes(class_pixels: np.ndarray, *, temperature: float,
                 min_pixels: int) -> RareClasses:
  """Computes how often each class is asked for, and in which images it is.

  DAFormer's rare class sampling: f_c = share of class c among all labelled
  pixels, P(c) = softmax((1 - f_c) / T).

  Args:
    class_pixels: [N, C] integers, pixels of each class in each image.
    temperature: T > 0; small values ask for the rarest classes only.
    min_pixels: images with more pixels of a class than this serve for it.

  Returns:
    The tables; classes that never occur are left out.
  """
  total = class_pixels.sum(0)
  classes = np.argsort(total, kind='stable')
  classes = classes[total[classes] > 0]
  share = total[classes] / total.sum()
  logits = (1 - share) / temperature
  weight = np.exp(logits - logits.max())
  files = [np.flatnonzero(class_pixels[:, c] > min_pixels) for c in classes]
  count = np.array([len(f) for f in files])
  if not count.size or not count.all():
    largest = int(class_pixels[:, classes].max(0).min()) if count.size else 0
    raise ValueError(
        'config.data.rare_class.min_pixels: expected images with more than '
        f'{min_pixels} pixels of each class, got none for the classes '
        f'{classes[count == 0].tolist()}; with min_pixels < {largest} every '
        'class has one')
  padded = np.zeros((len(classes), count.max()), np.int32)
  for row, f in zip(padded, files):
    row[:len(f)] = f
  return RareClasses(classes.astype(np.int32),
                     (weight / weight.sum()).astype(np.float32), padded,
                     count.astype(np.int32))


def rare_index(key: tf.Tensor,
               tables: RareClasses) -> tuple[tf.Tensor, tf.Tensor]:
  """Draws a class and an image that holds it.

  Args:
    key: [2] int64 key of the element.
    tables: from `rare_classes`.

  Returns:
    (int64 image, int32 class to look for in the crop), scalars.
  """
  row = tf.random.stateless_categorical(
      tf.math.log(tables.probability)[None], 1, seed=fold(key, CLASS))[0, 0]
  count = tf.gather(tables.count, row)
  column = uniform_int(fold(key, FILE), count)
  return (tf.cast(tf.gather_nd(tables.files, tf.stack(
      [row, tf.cast(column, tf.int64)])), tf.int64),
          tf.gather(tables.classes, row))


def uniform_int(key: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
  """Draws int32 uniform in [0, stop), of the shape of `stop`."""
  stop = tf.convert_to_tensor(stop, tf.int32)
  share = tf.random.stateless_uniform(tf.shape(stop), key, dtype=tf.float64)
  return tf.cast(share * tf.cast(stop, tf.float64), tf.int32)
