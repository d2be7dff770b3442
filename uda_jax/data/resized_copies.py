"""Copies of images that training reads instead of the files themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from uda_jax.data import cutting
from uda_jax.data import image_files
from uda_jax.data import transforms


def make(
  job: Any,
  source: Any,
  image: image_files.TrainingImage,
  label: np.ndarray | None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
  """Returns the copy of an image, if one is needed, and its label.

  A copy is needed of files that TensorFlow does not decode to the pixels that
  `image_files` reads, and where `job.resize` asks for smaller copies, which
  have the pixels that training would make of the image.

  Args:
    job: a `folder_labels.Job`.
    source: a `folder_labels.Source`.
    image: the image as it was read.
    label: [H, W] uint8 train ids of the same size, or None.

  Returns:
    [h, w, N] uint8 or None, and [h, w] uint8 or None. ValueError for copies
    that would be larger than the image.
  """
  size = image.size
  full = size
  if job.resize is not None:
    full = tuple(transforms.resized_size(size, job.resize).numpy().tolist())
  if full == size:
    return image.pixels, label
  if any(f > s for f, s in zip(full, size)):
    raise ValueError(
      f'config.data.resized_copies: expected images that shrink, got '
      f'{source.image} of {size}, which config.data.'
      f'{job.field.split(".")[-1]}_image_size makes {full}; such copies are '
      'slower to read: set config.data.resized_copies=False'
    )
  window = cutting.Window(
    tf.zeros(2, tf.int32), tf.constant(full), tf.constant(full)
  )
  pixels = image.pixels
  if pixels is None:
    pixels = transforms.read_image(transforms.path_tensor(source.image))
  copy = cutting.cut_image(
    tf.convert_to_tensor(pixels), window, job.resize.resize
  ).numpy()
  if label is not None:
    label = tf.convert_to_tensor(label)
    label = cutting.cut_label(label, window, job.resize.resize).numpy()
  return copy, label
