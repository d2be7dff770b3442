"""Contrast between labeled pixels (PiPa, arXiv 2211.07609, section 3.2).

The same number of pixels is drawn from each class of each image, half of them
hard (the network predicts another class) if there are enough. Embeddings of one
class are pulled together, those of different classes pushed apart.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import labels


class PixelSample(NamedTuple):
  """Pixels drawn from a batch, ordered by (image, class), then padding.

  Attributes:
    indices: [M] int32, distinct flat indices in [0, B * h * w); distinct
      indices beyond that range for padding.
    label: [M] int32, class of each pixel.
    valid_mask: [M] bool, False for the padding at the end.
  """

  indices: jax.Array
  label: jax.Array
  valid_mask: jax.Array


class _Groups(NamedTuple):
  """Pixels in random order, sorted into the hard and easy ones of each row.

  Attributes:
    order: [N] int32, flat indices of the batch's pixels.
    start: [rows, 2] int32, start of a row's hard and easy pixels in `order`.
    size: [rows, 2] int32, number of a row's hard and easy pixels.
  """

  order: jax.Array
  start: jax.Array
  size: jax.Array


def hard_easy_counts(
  hard: jax.Array, easy: jax.Array, views: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Number of hard and easy pixels to keep of a row (PiPa, released code).

  Half of each if there are enough, else all pixels of the rarer kind.

  Args:
    hard: [...] int, number of pixels with a wrong prediction.
    easy: [...] int, number of pixels with a correct prediction; hard + easy >=
      `views`.
    views: [...] int, number of pixels to keep.

  Returns:
    Numbers of hard and of easy pixels to keep, [...] int each.

  Example:
    >>> hard, easy = jnp.array([9, 2, 9]), jnp.array([9, 9, 1])
    >>> print(*hard_easy_counts(hard, easy, jnp.array([8, 8, 8])))
    [4 2 7] [4 6 1]
  """
  enough_hard, enough_easy = 2 * hard >= views, 2 * easy >= views
  kept = jnp.where(
    enough_hard & enough_easy,
    views // 2,
    jnp.where(enough_hard, views - easy, hard),
  )
  return kept, views - kept


def _grouped(
  key: jax.Array, label: jax.Array, predicted: jax.Array, num_classes: int
) -> _Groups:
  """Sorts pixels by image, class and hardness, in random order within."""
  images = label.shape[0]
  label = label.reshape(images, -1)
  easy = (predicted.reshape(images, -1) == label).astype(jnp.int32)
  # Ignored pixels get class `num_classes`, a row of their own.
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
  """Draws the pixels to contrast, balanced over classes and images.

  A row is a class of an image with more than `max_views` pixels. Every row
  contributes min(`max_samples` // number of rows, `max_views`) pixels, drawn
  without replacement, half of them hard if there are enough (PiPa, released
  code).

  Args:
    key: a JAX key.
    label: [B, h, w] int32, in [0, num_classes) or `IGNORE_LABEL`.
    predicted: [B, h, w] int32, predicted class; pixels where it differs from
      `label` are hard.
    num_classes: C.
    max_views: largest number of pixels of a row; published: 100.
    max_samples: M, size of the sample; published: 1024.
    include_ignore: treat ignored pixels as one more class (released code).

  Returns:
    A sample of size M with the hard pixels of a row first. Without a row that
    is large enough, or without pixels, all of it is padding.

  Example:
    >>> label = jnp.array([[[0, 0, 0, 1, 1, 1, 255]]])
    >>> sample = draw_pixels(jax.random.key(0), label, label,
    ...                      num_classes=2, max_views=2, max_samples=5)
    >>> print(sample.label, sample.valid_mask)
    [0 0 1 1 0] [ True  True  True  True False]
  """
  slot = jnp.arange(max_samples, dtype=jnp.int32)
  if not label.size:
    return PixelSample(slot, jnp.zeros_like(slot), jnp.zeros(slot.shape, bool))
  groups = _grouped(key, label, predicted, num_classes)
  classes = jnp.append(
    jnp.arange(num_classes, dtype=jnp.int32), jnp.int32(labels.IGNORE_LABEL)
  )
  row_class = jnp.tile(classes, label.shape[0])
  eligible = groups.size.sum(1) > max_views
  if not include_ignore:
    eligible &= row_class != labels.IGNORE_LABEL
  count = eligible.sum()
  views = jnp.minimum(max_samples // jnp.maximum(count, 1), max_views)
  rows = jnp.nonzero(eligible, size=len(row_class), fill_value=0)[0]
  hard, _ = hard_easy_counts(groups.size[:, 0], groups.size[:, 1], views)

  rank, view = jnp.divmod(slot, jnp.maximum(views, 1))
  valid_mask = (rank < count) & (views > 0)
  row = rows[jnp.minimum(rank, len(rows) - 1)]
  place = jnp.where(
    view < hard[row],
    groups.start[row, 0] + view,
    groups.start[row, 1] + view - hard[row],
  )
  # Padding gets distinct indices beyond the map, so that the gather can fill
  # and its gradient needs no additions to one address.
  index = jnp.where(valid_mask, groups.order[place], label.size + slot)
  return PixelSample(index.astype(jnp.int32), row_class[row], valid_mask)


def gather_pixels(embedding: jax.Array, sample: PixelSample) -> jax.Array:
  """Gathers the embeddings of sampled pixels.

  Args:
    embedding: [B, h, w, D] float.
    sample: pixels of maps of this size, see `draw_pixels`.

  Returns:
    [M, D] float, zeros for padding.

  Example:
    >>> index, valid_mask = jnp.array([2, 0, 9]), jnp.array([True, True, False])
    >>> sample = PixelSample(index, jnp.zeros(3, int), valid_mask)
    >>> print(gather_pixels(jnp.arange(4.0).reshape(1, 2, 2, 1), sample).T)
    [[2. 0. 0.]]
  """
  channels = embedding.shape[-1]
  if not embedding.size:
    return jnp.zeros((len(sample.indices), channels), embedding.dtype)
  flat = embedding.reshape(-1, channels)
  return flat.at[sample.indices].get(
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
  """Supervised contrastive loss (arXiv 2004.11362; PiPa, equation 3).

  Every vector i is an anchor, the other vectors P of its class are positives
  and the vectors N of other classes negatives. Mean over i and over p in P of
  -log(exp(s_ip) / (exp(s_ip) + sum over n in N of exp(s_in))), s = dot product
  / `temperature`, times `temperature / base_temperature` (PiPa, released code:
  the other positives are not in the denominator). Computed in float32 or wider.

  Args:
    vectors: [M, D] float, unit length.
    label: [M] int, class of each vector; no value is ignored.
    valid_mask: [M] bool, False for vectors that are left out, which may hold
      any values; None: all count.
    temperature: > 0.
    base_temperature: > 0.

  Returns:
    [] float. Anchors without positives or without negatives give 0; so does an
    empty or fully masked input.

  Example:
    >>> vectors = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> options = dict(temperature=1.0, base_temperature=1.0)
    >>> for label in ([0, 0, 1], [0, 1, 0]):
    ...   loss = supervised_contrastive(vectors, jnp.array(label), **options)
    ...   print(f'{loss:.4f}')
    0.2088
    0.6688
  """
  if valid_mask is None:
    valid_mask = jnp.ones(label.shape, bool)
  # Before the product: an infinite vector has a NaN gradient, also times 0.
  vectors = jnp.where(valid_mask[:, None], vectors, 0)
  vectors = vectors.astype(jnp.promote_types(vectors.dtype, jnp.float32))
  pair = valid_mask[:, None] & valid_mask[None]
  same = label[:, None] == label[None]
  similarity = (
    jnp.matmul(vectors, vectors.T, precision=jax.lax.Precision.HIGHEST)
    / temperature
  )
  similarity = jnp.where(pair, similarity, 0)

  negative = pair & ~same
  exists = negative.any(1, keepdims=True)
  # Relative to the largest negative: beside a much larger positive all of them
  # would be 0. Without negatives the sum is not used, but must be finite.
  log_negative = jax.nn.logsumexp(
    similarity, 1, where=negative | ~exists, keepdims=True
  )
  # s - log(exp(s) + n) is -softplus(log n - s), and 0 where n is 0.
  loss = jnp.where(exists, jax.nn.softplus(log_negative - similarity), 0)
  positive = pair & same & ~jnp.eye(len(label), dtype=bool)
  anchor = jnp.where(positive, loss, 0).sum(1) / jnp.maximum(positive.sum(1), 1)
  mean = anchor.sum() / jnp.maximum(valid_mask.sum(), 1)
  return temperature / base_temperature * mean


def sampled_pixel_contrast(
  embedding: jax.Array, sample: PixelSample
) -> jax.Array:
  """Supervised contrastive loss of sampled pixels (PiPa, section 3.2).

  Args:
    embedding: [B, h, w, D] float, unit length.
    sample: pixels of maps of this size, see `draw_pixels`.

  Returns:
    [] float, see `supervised_contrastive`; 0 if the sample is all padding.

  Example:
    >>> embedding = jnp.array([[[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]])
    >>> sample = PixelSample(
    ...     jnp.arange(3), jnp.array([0, 0, 1]), jnp.ones(3, bool))
    >>> print(f'{sampled_pixel_contrast(embedding, sample):.6f}')
    0.000043
  """
  return supervised_contrastive(
    gather_pixels(embedding, sample), sample.label, valid_mask=sample.valid_mask
  )
