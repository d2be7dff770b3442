"""Stateless sampling order: image index as a function of (seed, element).

Training is one endless sequence of elements k = step * rows + row for each
domain. Nothing here has a state, so any step can be started at.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Domains, and purposes of random numbers.
SOURCE, TARGET, PAIR, LABELED = 'source', 'target', 'pair', 'labeled'
ORDER, SCALE, CROP, FLIP, CLASS, FILE, TURN = (
  'order',
  'scale',
  'crop',
  'flip',
  'class',
  'file',
  'turn',
)


class Stream(NamedTuple):
  """All random numbers of a run that serve one purpose in one domain."""

  seed: int
  domain: str
  purpose: str

  def key(self, number: tf.Tensor) -> tf.Tensor:
    """Returns the [2] int64 seed of a stateless operation, for one element."""
    # Hashed when the graph is made: folding keys in it would cost more than
    # the draws do.
    text = '/'.join(map(str, self)).encode()
    own = int.from_bytes(hashlib.sha256(text).digest()[:8], 'big', signed=True)
    return tf.stack([tf.constant(own, tf.int64), number])

  def uniform(
    self, number: tf.Tensor, shape: tuple[int, ...] = ()
  ) -> tf.Tensor:
    """Draws float32 in [0, 1), a pure function of the stream and `number`."""
    return tf.random.stateless_uniform(shape, self.key(number))


def uniform_int(share: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
  """Maps uniform numbers in [0, 1) to int32 in [0, stop), stop < 2^23."""
  return tf.cast(share * tf.cast(stop, tf.float32), tf.int32)


def permuted_index(
  seed: int, domain: str, element: tf.Tensor, size: int
) -> tf.Tensor:
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
  # `max_index` is inclusive.
  return tf.random.experimental.index_shuffle(
    position,
    seed=Stream(seed, domain, ORDER).key(epoch),
    max_index=tf.constant(size - 1, tf.int64),
  )


class RareClasses(NamedTuple):
  """Tables of rare-class sampling over the C' classes that occur.

  Attributes:
    classes: [C'] int32 train ids, the rarest first.
    probability: [C'] float32, of drawing each class.
    files: [C', M] int32, the images with enough pixels of the class, padded.
    lengths: [C'] int32, how many entries of each row are images.
  """

  classes: np.ndarray
  probability: np.ndarray
  files: np.ndarray
  lengths: np.ndarray


def rare_classes(
  class_pixels: np.ndarray, *, temperature: float, min_pixels: float
) -> RareClasses:
  """Computes the class probabilities of rare-class sampling, and its images.

  DAFormer's rare class sampling: f_c = share of class c among all labeled
  pixels, P(c) = softmax((1 - f_c) / T).

  Args:
    class_pixels: [N, C] integers, pixels of each class in each image.
    temperature: T > 0; small values ask for the rarest classes only.
    min_pixels: images with more pixels of a class than this serve for it; if
      below 1, with a larger share of their labeled pixels than this.

  Returns:
    The tables; classes that never occur are left out.
  """
  total = class_pixels.sum(0)
  classes = np.argsort(total, kind='stable')
  classes = classes[total[classes] > 0]
  share = total[classes] / total.sum()
  logits = (1 - share) / temperature
  weight = np.exp(logits - logits.max())
  amount = class_pixels
  if min_pixels < 1:
    amount = class_pixels / np.maximum(class_pixels.sum(1, keepdims=True), 1)
  files = [np.flatnonzero(amount[:, c] > min_pixels) for c in classes]
  count = np.array([len(f) for f in files])
  if not count.size or not count.all():
    largest = amount[:, classes].max(0).min() if count.size else 0
    raise ValueError(
      'config.data.rare_class.min_pixels: expected images with more than '
      f'{min_pixels} pixels of each class, got none for the classes '
      f'{classes[count == 0].tolist()}; with min_pixels < {largest:.9g} '
      'every class has one'
    )
  padded = np.zeros((len(classes), count.max()), np.int32)
  for row, f in zip(padded, files):
    row[: len(f)] = f
  return RareClasses(
    classes.astype(np.int32),
    (weight / weight.sum()).astype(np.float32),
    padded,
    count.astype(np.int32),
  )


def rare_index(
  seed: int, domain: str, element: tf.Tensor, tables: RareClasses
) -> tuple[tf.Tensor, tf.Tensor]:
  """Draws a class and an image that holds it, for one element.

  Args:
    seed: of the run.
    domain: SOURCE or TARGET.
    element: int64 scalar k >= 0.
    tables: from `rare_classes`.

  Returns:
    (int64 image, int32 class to look for in the crop), scalars.
  """
  row = tf.random.stateless_categorical(
    np.log(tables.probability)[None],
    1,
    seed=Stream(seed, domain, CLASS).key(element),
  )[0, 0]
  column = uniform_int(
    Stream(seed, domain, FILE).uniform(element), tf.gather(tables.lengths, row)
  )
  image = tf.gather(tables.files, row)[column]
  return tf.cast(image, tf.int64), tf.gather(tables.classes, row)
