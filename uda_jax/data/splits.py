"""Batches of a whole split, for evaluation, ranking and cutting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from uda_jax.data import cutting
from uda_jax.data import image_resize
from uda_jax.data import image_size
from uda_jax.data import loading
from uda_jax.data import manifest as manifest_lib
from uda_jax.data import transforms


class EvalBatch(NamedTuple):
  """Images of one size; rows that only fill the batch up are not valid.

  Attributes:
    image: [B, H, W, N] uint8, resized by the rule of `eval_batches`.
    label: [B, h, w] int32 at the size of the file or the one asked for, 255 in
      filling rows; None without labels.
    valid: [B] bool.
    index: [B] int32, which images of the data set these are.
  """

  image: np.ndarray
  label: np.ndarray | None
  valid: np.ndarray
  index: np.ndarray  # type: ignore[assignment]  # hides tuple.index


def eval_batches(
  data: manifest_lib.Manifest,
  *,
  batch_size: int,
  rule: image_size.Rule = image_size.OWN_SIZE,
  label_size: image_size.Size = (0, 0),
  process_index: int = 0,
  process_count: int = 1,
  devices: int = 1,
) -> Iterator[EvalBatch]:
  """Returns every image of a data set once, spread over the processes.

  All processes get equally many batches, of the same sizes in the same
  order. If the images differ in size, they are sorted by size and come one for
  each device, or fewer (for any `batch_size`), so that a compiled function
  serves each size.

  Args:
    data: the images.
    batch_size: B, rows of a batch of one process.
    rule: how images are resized.
    label_size: (height, width) that labels are brought to, by nearest exactly
      as Pillow does it; (0, 0) = they stay as they are, (S, 0) = a shorter
      side of S.
    process_index: which process this is.
    process_count: how many there are.
    devices: of each process.

  Returns:
    Iterator of batches of numpy arrays.
  """
  mixed = len(np.unique(np.stack([data.heights, data.widths]), axis=1).T) > 1
  plan = _plan(
    data, devices if mixed else batch_size, process_index, process_count, mixed
  )
  read = _reader(data, rule, label_size)
  # Batches of mixed sizes have different numbers of rows, and are put together
  # here.
  size = 1 if mixed else batch_size
  numbers = np.concatenate(plan)
  dataset = tf.data.Dataset.from_tensor_slices(numbers)
  rows = np.where(numbers < 0, -1 - numbers, numbers).reshape(-1, size)
  found = loading.to_numpy(
    loading.parallel(dataset, read, size),
    lambda number: (
      file for index in rows[number] for file in loading.files_of(data, index)
    ),
  )
  return _joined(found, map(len, plan)) if mixed else found


def _reader(
  data: manifest_lib.Manifest,
  rule: image_size.Rule,
  label_size: image_size.Size,
) -> Callable[[tf.Tensor], EvalBatch]:
  """Returns f(number) -> one row of a batch; below 0, -1 - index: padding."""
  images = transforms.path_tensor(data.image_paths)
  labels = transforms.path_tensor(data.label_paths) if data.labeled else None
  sizes = loading.sizes(data)

  def read(number: tf.Tensor) -> EvalBatch:
    valid = number >= 0
    index = tf.where(valid, number, -1 - number)
    image = transforms.read_image(images[index], data.channels)
    image = loading.of_size(image, sizes[index])
    if any(rule.size):
      image = _resized(image, rule)
    label = None
    if labels is not None:
      label = transforms.read_label(labels[index])
      label = loading.of_size(label, sizes[index])
      if any(label_size):
        full = transforms.resized_size(
          sizes[index], transforms.Spec(label_size)
        )
        whole = cutting.Window(tf.zeros(2, tf.int32), full, full)
        label = cutting.cut_label(label, whole, 'bicubic')
      label = tf.where(valid, tf.cast(label, tf.int32), transforms.IGNORE)
    return EvalBatch(image, label, valid, tf.cast(index, tf.int32))

  return read


def _joined(
  rows: Iterator[EvalBatch], lengths: Iterable[int]
) -> Iterator[EvalBatch]:
  """Puts batches of one row together to batches of these lengths."""
  for length in lengths:
    image, label, valid, index = zip(*itertools.islice(rows, length))
    yield EvalBatch(
      np.concatenate(image),
      None if label[0] is None else np.concatenate(label),
      np.concatenate(valid),
      np.concatenate(index),
    )


def _resized(image: tf.Tensor, rule: image_size.Rule) -> tf.Tensor:
  """Returns the uint8 [h, w, N] image as `image_resize.by_rule` makes it."""
  resized = tf.numpy_function(
    lambda pixels: image_resize.by_rule(pixels, rule), [image], tf.uint8
  )
  resized.set_shape([None, None, image.shape[-1]])
  return resized


def _plan(
  data: manifest_lib.Manifest,
  batch_size: int,
  process_index: int,
  process_count: int,
  mixed: bool,
) -> list[np.ndarray]:
  """Returns the images of each batch of a process; -1 - i repeats image i.

  Args:
    data: the images.
    batch_size: rows of a batch.
    process_index: which process this is.
    process_count: how many there are.
    mixed: whether the last batch of a size may have fewer rows, if that is
      enough.
  """
  sizes = np.stack([data.heights, data.widths], 1)
  kinds, kind = np.unique(sizes, axis=0, return_inverse=True)
  plan = []
  for k in range(len(kinds)):
    members = np.flatnonzero(kind.ravel() == k)
    step = batch_size * process_count
    for start in range(0, len(members), step):
      some = members[start : start + step]
      size = -(-len(some) // process_count) if mixed else batch_size
      missing = size * process_count - len(some)
      filled = np.concatenate([some, np.full(missing, -1 - members[0])])
      plan.append(filled.reshape(process_count, size)[process_index])
  return plan
