"""Two overlapping crops of a target image (PiPa, arXiv 2211.07609).

They are cut on the host, at full resolution and from an image of its own scale
(released code), which the crop that the base trains on no longer holds. Boxes
are (top, bottom, left, right), corners are (top, left), sizes (height, width).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from uda_jax.data import cutting
from uda_jax.data import examples
from uda_jax.data import loading
from uda_jax.data import manifest as manifest_lib
from uda_jax.data import sampling
from uda_jax.data import several
from uda_jax.data import transforms

# Number of draws of the second crop; after them it is the first one (released
# code).
ATTEMPTS = 50
# Crops that lack pixels are filled with ImageNet's mean color.
FILL = (124, 116, 104)


class Spec(NamedTuple):
  """Settings of the pairs of crops.

  Attributes:
    crop_size: of each crop.
    long_side: (lowest, highest) of the longer side of the resized image.
    overlap: (lowest, highest) intersection over union of the two crops.
    stride: the corners' distance is a multiple of it, so are the boxes.
    group_size: pairs of a group.
    first_step: no pairs before this step of the run.
  """

  crop_size: tuple[int, int]
  long_side: tuple[int, int]
  overlap: tuple[float, float]
  stride: int = 8
  group_size: int = 1
  first_step: int = 0


def spec(config: Any) -> Spec | None:
  """Reads `config.data.pair`; None if its crop has no size."""
  if not any(config.crop_size):
    return None
  made = Spec(
    tuple(config.crop_size),
    tuple(config.long_side),
    tuple(config.overlap),
    config.stride,
    config.group_size,
    config.first_step,
  )
  if any(n % made.stride for n in made.crop_size):
    raise ValueError(
      'config.data.pair.crop_size: expected multiples of '
      f'config.data.pair.stride, {made.stride}, got {made.crop_size}'
    )
  return made


def resized_size(size: tf.Tensor, long_side: tf.Tensor) -> tf.Tensor:
  """Returns [2] int32: `size` with the longer side as given."""
  ratio = tf.cast(size, tf.float64) / tf.cast(tf.reduce_max(size), tf.float64)
  return tf.cast(
    tf.floor(ratio * tf.cast(long_side, tf.float64) + 0.5), tf.int32
  )


def second_corner(
  first: tf.Tensor, candidates: tf.Tensor, pair: Spec
) -> tuple[tf.Tensor, tf.Tensor]:
  """Chooses the corner of the second crop.

  Args:
    first: [2] int32 corner of the first crop.
    candidates: [n, 2] int32 corners; they are moved to a multiple of the
      stride from the first one.
    pair: how pairs are cut.

  Returns:
    The first candidate whose crop overlaps enough, [2] int32, or `first` if
    none does; and its number, n if none.
  """
  moved = (candidates - first) // pair.stride * pair.stride + first
  moved += tf.where(moved < 0, pair.stride, 0)
  crop = tf.constant(pair.crop_size)
  common = tf.reduce_prod(tf.maximum(crop - tf.abs(moved - first), 0), -1)
  share = common / (2 * tf.reduce_prod(crop) - common)
  low, high = pair.overlap
  accepted = (common > 0) & (share >= low) & (share <= high)
  # The first crop itself stands at the end.
  number = tf.argmax(tf.concat([accepted, [True]], 0), output_type=tf.int32)
  return tf.concat([moved, first[None]], 0)[number], number


def overlap_boxes(
  first: tf.Tensor, second: tf.Tensor, full: tf.Tensor, pair: Spec
) -> tf.Tensor:
  """Returns [2, 4] int32: what both crops show, as a box in each of them.

  Args:
    first: [2] int32 corner of the first crop.
    second: [2] int32 corner of the second.
    full: [2] int32 size of the resized image, without padding.
    pair: how pairs are cut.
  """
  crop = tf.constant(pair.crop_size)
  filled = full // pair.stride * pair.stride
  boxes = []
  for away in (second - first, first - second):
    low = tf.maximum(away, 0)
    high = tf.minimum(tf.minimum(crop, crop + away), filled)
    boxes.append(tf.reshape(tf.stack([low, high], 1), [4]))
  return tf.stack(boxes)


def _fill(channels: int) -> tuple[int, ...]:
  """Returns `FILL`; further channels, and fewer than 3, get its average."""
  own = FILL if channels >= len(FILL) else ()
  average = round(sum(FILL) / len(FILL))
  return own + (average,) * (channels - len(own))


def _cut(
  image: tf.Tensor,
  corner: tf.Tensor,
  full: tf.Tensor,
  flip: tf.Tensor,
  pair: Spec,
) -> tf.Tensor:
  """Cuts, fills and mirrors one crop of the resized image."""
  size = tf.minimum(full, tf.constant(pair.crop_size))
  pixels = cutting.cut_image(
    image, cutting.Window(corner, size, full), 'bicubic'
  )
  inside = tf.ones(size, bool)[..., None]
  missing = tf.pad(
    tf.constant(pair.crop_size)[:, None] - size[:, None], [[0, 1], [1, 0]]
  )
  pixels, inside = (tf.pad(x, missing) for x in (pixels, inside))
  channels = image.shape[-1]
  pixels = tf.where(inside, pixels, tf.constant(_fill(channels), tf.uint8))
  pixels = tf.cond(flip, lambda: tf.reverse(pixels, [1]), lambda: pixels)
  return tf.ensure_shape(pixels, (*pair.crop_size, channels))


def reader(
  data: manifest_lib.Manifest, pair: Spec, seed: int
) -> Callable[[tf.Tensor], examples.Example]:
  """Makes the function from an element's number to its pair.

  Args:
    data: the target; every image once an epoch, in an order of its own.
    pair: how pairs are cut.
    seed: of the run.

  Returns:
    `read(element)`: int64 scalar k to 'image' uint8 [2, H, W, N], 'box' int32
    [2, 4] (the overlap before mirroring, in pixels) and 'flipped' bool [2], a
    pure function of (seed, k).
  """
  images = transforms.path_tensor(data.image_paths)
  sizes = loading.sizes(data)

  def read(element: tf.Tensor) -> examples.Example:
    uniform = lambda purpose, shape=(): sampling.Stream(
      seed, sampling.PAIR, purpose
    ).uniform(element, shape)
    index = several.permuted_index(seed, sampling.PAIR, element, data)
    image = transforms.read_image(images[index], data.channels)
    image = loading.of_size(image, sizes[index])
    low, high = pair.long_side
    full = resized_size(
      tf.shape(image)[:2],
      low
      + sampling.uniform_int(
        uniform(sampling.SCALE), tf.constant(high - low + 1)
      ),
    )
    places = tf.maximum(full - tf.constant(pair.crop_size), 0) + 1
    corners = sampling.uniform_int(
      uniform(sampling.CROP, (1 + ATTEMPTS, 2)), places
    )
    second, _ = second_corner(corners[0], corners[1:], pair)
    flip = uniform(sampling.FLIP, (2,)) < 0.5
    return {
      'image': tf.stack(
        [
          _cut(image, corner, full, flip[i], pair)
          for i, corner in enumerate((corners[0], second))
        ]
      ),
      'box': overlap_boxes(corners[0], second, full, pair),
      'flipped': flip,
    }

  return read
