"""Contrast between labelled pixels (PiPa, arXiv 2211.07609, section 3.2).

Of every class in every image as many pixels are taken, half of them "hard"
(the network predicts another class) where there are enough; pixels of a class
attract each other and repel those of other classes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import labels


class PixelSample(NamedTuple):
  """Pixels of a batch, in rows of (image, class); the rest is filling.

  Attributes:
    index: [M] int32 places in [0, B * h * w), different ones; places beyond
      them where not `valid_mask`.
    label: [M] int32 class.
    valid_mask: [M] bool, False for the filling at the end.
  """

  index: jax.Array
  label: jax.Array
  valid_mask: jax.Array


class _Groups(NamedTuple):
  """Pixels in random order, group by group: hard and easy ones of each row.

  Attributes:
    order: [N] int32 places of the batch.
    start: [rows, 2] int32, where the hard and the easy pixels of a row begin.
    count: [rows, 2] int32, how many there are.
  """

  order: jax.Array
  start: jax.Array
  count: jax.Array


def hard_easy_counts(
  hard: jax.Array, easy: jax.Array, views: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Computes how many hard and easy pixels of a row are kept.

  Half of each if there are as many, else all of the rarer kind.

  Args:
    hard: [...] int, pixels that are predicted wrongly.
    easy: [...] int, pixels that are predicted rightly; both together at least
      `views`.
    views: [...] int, pixels to keep.

  Returns:
    Kept hard and easy pixels, [...] int each (released code).
  """
  enough_hard, enough_easy = 2 * hard >= views, 2 * easy >= views
  kept = jnp.where(
    enough_hard & enough_easy,
    views // 2,
    jnp.where(enough_hard, views - easy, hard),
  )
  return kept, views - kept


def _grouped(key, label, predicted, num_classes) -> _Groups:
  """Sorts the pixels by image, class, hardness and chance."""
  images = label.shape[0]
  label = label.reshape(images, -1)
  easy = (predicted.reshape(images, -1) == label).astype(jnp.int32)
  # Ignored pixels come as class `num_classes`, which is a row like the others.
  row = (
    jnp.minimum(label, num_classes)
    + (num_classes + 1) * jnp.arange(images)[:, None]
  )
  group = (2 * row + easy).reshape(-1)
  groups = 2 * (num_classes + 1) * images
  sorted_, _, order = jax.lax.sort(
    (group, jax.random.bits(key, group.shape), jnp.arange(group.size)),
    num_keys=2,
  )
  start = jnp.searchsorted(sorted_, jnp.arange(groups + 1))
  return _Groups(
    order, start[:-1].reshape(-1, 2), jnp.diff(start).reshape(-1, 2)
  )


def draw_pixels(
  key: jax.Array,
  label: jax.Array,
  predicted: jax.Array,
  *,
  num_classes: int,
  max_views: int,
  max_samples: int,
  include_ignore: bool = False,
) -> PixelSample:
  """Draws the pixels to contrast.

  A row is a class in an image with more than `max_views` pixels. All rows get
  the same number of pixels: `max_samples` over the number of rows, at most
  `max_views`, in a random choice of hard and easy ones.

  Args:
    key: a JAX key.
    label: [B, h, w] int32, in [0, num_classes) or `IGNORE_LABEL`.
    predicted: [B, h, w] int32 class map that says which pixels are hard.
    num_classes: C.
    max_views: published: 100.
    max_samples: size of the sample; published: 1024.
    include_ignore: contrasts ignored pixels as one more class (released code).

  Returns:
    A sample of size M = `max_samples`, the hard pixels of a row first. Without
    any row, all of it is filling.
  """
  groups = _grouped(key, label, predicted, num_classes)
  classes = jnp.append(
    jnp.arange(num_classes, dtype=jnp.int32), jnp.int32(labels.IGNORE_LABEL)
  )
  row_class = jnp.tile(classes, label.shape[0])
  eligible = groups.count.sum(1) > max_views
  if not include_ignore:
    eligible &= row_class != labels.IGNORE_LABEL
  count = eligible.sum()
  views = jnp.minimum(max_samples // jnp.maximum(count, 1), max_views)
  rows = jnp.nonzero(eligible, size=len(row_class), fill_value=0)[0]
  hard, _ = hard_easy_counts(groups.count[:, 0], groups.count[:, 1], views)

  slot = jnp.arange(max_samples)
  rank, view = jnp.divmod(slot, jnp.maximum(views, 1))
  valid_mask = (rank < count) & (views > 0)
  row = rows[jnp.minimum(rank, len(rows) - 1)]
  place = jnp.where(
    view < hard[row],
    groups.start[row, 0] + view,
    groups.start[row, 1] + view - hard[row],
  )
  # Different places beyond the map: a gather that fills, and whose gradient
  # is free of collisions.
  index = jnp.where(valid_mask, groups.order[place], label.size + slot)
  return PixelSample(index.astype(jnp.int32), row_class[row], valid_mask)


def gather(embedding: jax.Array, sample: PixelSample) -> jax.Array:
  """Returns the sampled vectors [M, D] of [B, h, w, D], 0 for the filling."""
  flat = embedding.reshape(-1, embedding.shape[-1])
  return flat.at[sample.index].get(
    mode='fill', fill_value=0, unique_indices=True
  )


def supervised_contrastive(
  vectors: jax.Array,
  label: jax.Array,
  *,
  valid_mask: jax.Array | None = None,
  temperature: float = 0.1,
  base_temperature: float = 0.07,
) -> jax.Array:
  """Computes the supervised contrast of vectors (PiPa, equation 3).

  Every vector is an anchor; vectors of its class are its positives, all others
  its negatives (released code; InfoNCE with one positive at a time).

  Args:
    vectors: [M, D] float of unit length.
    label: [M] int class.
    valid_mask: [M] bool, vectors that count; all if not given.
    temperature: of the similarities.
    base_temperature: the loss is scaled by `temperature / base_temperature`.

  Returns:
    Scalar: mean over the anchors of the mean over their positives. Anchors
    without positives give 0, a single class gives 0, and so does nothing.
  """
  if valid_mask is None:
    valid_mask = jnp.ones(label.shape, bool)
  pair = valid_mask[:, None] & valid_mask[None]
  same = label[:, None] == label[None]
  similarity = (
    jnp.matmul(vectors, vectors.T, precision=jax.lax.Precision.HIGHEST)
    / temperature
  )
  largest = jnp.max(similarity, 1, where=pair, initial=-jnp.inf, keepdims=True)
  largest = jnp.where(valid_mask[:, None], largest, 0)
  similarity = jnp.where(pair, similarity - jax.lax.stop_gradient(largest), 0)

  negative = jnp.where(pair & ~same, jnp.exp(similarity), 0).sum(
    1, keepdims=True
  )
  exists = negative > 0
  log_negative = jnp.log(jnp.where(exists, negative, 1))
  # s - log(exp(s) + n) is -softplus(log n - s), and 0 where n is 0.
  loss = jnp.where(exists, jax.nn.softplus(log_negative - similarity), 0)
  positive = pair & same & ~jnp.eye(len(label), dtype=bool)
  anchor = jnp.where(positive, loss, 0).sum(1) / jnp.maximum(positive.sum(1), 1)
  mean = anchor.sum() / jnp.maximum(valid_mask.sum(), 1)
  return temperature / base_temperature * mean


def sampled_pixel_contrast(
  embedding: jax.Array, sample: PixelSample
) -> jax.Array:
  """Computes the contrast of sampled pixels.

  Args:
    embedding: [B, h, w, D] float of unit length.
    sample: of maps of this size, see `draw_pixels`.

  Returns:
    Scalar, see `supervised_contrastive`; 0 for a sample that is all filling.
  """
  return supervised_contrastive(
    gather(embedding, sample), sample.label, valid_mask=sample.valid_mask
  )
