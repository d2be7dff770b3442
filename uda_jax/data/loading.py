"""Reading examples on all cores, with errors that name the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from uda_jax import cores
from uda_jax.data import bad_files
from uda_jax.data import bands
from uda_jax.data import manifest as manifest_lib
from uda_jax.data import transforms

# Batches that are ready before they are asked for.
_PREFETCH = 2


def parallel(
  dataset: tf.data.Dataset, read: Callable[[tf.Tensor], Any], batch_size: int
) -> tf.data.Dataset:
  """Reads elements on all cores, in order, and batches them."""
  # No reader branches on tensors in Python; looking for such branches takes
  # most of the time until the first batch.
  dataset = dataset.map(
    tf.autograph.experimental.do_not_convert(read),
    num_parallel_calls=cores.count(),
    deterministic=True,
  )
  return dataset.batch(batch_size).prefetch(_PREFETCH)


def files_of(
  data: manifest_lib.Manifest, index: int
) -> Iterator[tuple[str, tuple[int, int]]]:
  """Yields the image file and the label file of an image, and their size."""
  height, width = int(data.heights[index]), int(data.widths[index])
  stacked = 1 if data.channels == bands.RGB else data.channels
  yield data.image_paths[index], (stacked * height, width)
  label = data.label_paths[index]
  if label is not None:
    yield label, (height, width)


def sizes(data: manifest_lib.Manifest) -> tf.Tensor:
  """Returns the (height, width) of all images, [N, 2] int32."""
  return tf.constant(np.stack([data.heights, data.widths], 1), tf.int32)


def of_size(pixels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """Returns an image or a label; an error if it has another (height, width).

  A file that was replaced since the data were prepared would be trained on with
  the label, or the image, of the old one.
  """
  same = tf.debugging.assert_equal(tf.shape(pixels)[:2], size)
  with tf.control_dependencies([same]):
    return tf.identity(pixels)


def to_numpy(
  dataset: tf.data.Dataset,
  files: Callable[[int], Iterator[tuple[str, tuple[int, int]]]],
) -> Iterator[Any]:
  """Yields numpy trees; an error names the file that cannot be read.

  Args:
    dataset: of batches.
    files: `files(number)`: the files of the batch of this number, and the
      (height, width) of each.

  Yields:
    The elements of `dataset`.
  """
  number = 0
  try:
    for values in dataset.as_numpy_iterator():
      yield values
      number += 1
  except tf.errors.OpError as error:
    # TensorFlow names the file only if it is not there.
    for path, size in files(number):
      try:
        pixels = transforms.read_image(transforms.path_tensor(path))
      except tf.errors.OpError:
        raise bad_files.BadFile(
          path,
          f'{path}: expected the image that was there when the data were '
          'prepared, got none or a damaged one; put it back, or start again '
          'to have all files checked',
        ) from error
      if (found := tuple(pixels.shape[:2])) != size:
        raise bad_files.BadFile(
          path,
          f'{path}: expected {size[0]} x {size[1]} pixels as when the data '
          f'were prepared, got {found[0]} x {found[1]}; put the file back, or '
          'start again to have all files checked',
        ) from error
    raise
