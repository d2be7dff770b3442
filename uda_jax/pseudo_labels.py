"""Pseudo-labels and their weights from the logits of a network."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax import labels


def from_logits(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Most probable class and its probability.

  Args:
    logits: [..., C] float, any values.

  Returns:
    Pseudo-label [...] int32 in [0, C), the lower class of a tie, and its
    confidence [...] float in [1/C, 1].

  Example:
    >>> label, confidence = from_logits(jnp.array([[0.0, 0.0], [0.0, 2.0]]))
    >>> print(label, confidence)
    [0 1] [0.5    0.8808]
  """
  label = jnp.argmax(logits, -1).astype(jnp.int32)
  return label, jax.nn.softmax(logits, -1).max(-1)


def from_mirrored_pair(
  logits: jax.Array, mirrored: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Labels from the mean probability of an image and its mirror image.

  VFM-UDA (released code). The mean of the logits would give other labels.

  Args:
    logits: [B, H, W, C] float, any values.
    mirrored: [B, H, W, C] float, logits of the mirrored image, as the network
      returns them (not mirrored back).

  Returns:
    Pseudo-label [B, H, W] int32 in [0, C), the lower class of a tie, and its
    confidence [B, H, W] float in [1/C, 1].

  Example:
    >>> logits = jnp.array([[[[0.0, 2.0], [0.0, 0.0]]]])
    >>> mirrored = jnp.array([[[[0.0, 1.0], [0.0, 2.0]]]])
    >>> label, confidence = from_mirrored_pair(logits, mirrored)
    >>> print(label, confidence)
    [[[1 1]]] [[[0.8808 0.6155]]]
  """
  prob = mirrored_mean(logits, mirrored)
  return jnp.argmax(prob, -1).astype(jnp.int32), prob.max(-1)


def mirrored_mean(logits: jax.Array, mirrored: jax.Array) -> jax.Array:
  """Mean probability [B, H, W, C], see `from_mirrored_pair`."""
  back = jax.nn.softmax(mirrored, -1)[:, :, ::-1]
  return (jax.nn.softmax(logits, -1) + back) / 2


def quality_weight(
  confidence: jax.Array, *, threshold: float, fraction_over: str = 'batch'
) -> jax.Array:
  """Weight of pseudo-labels: the fraction of confident pixels.

  DAFormer (arXiv 2111.14887, eq. 3). No pixel is dropped: pixels that are not
  confident get the same weight as the others.

  Args:
    confidence: [B, H, W] float in [0, 1].
    threshold: a pixel is confident if its confidence is >= threshold.
    fraction_over: 'batch': fraction of the whole group (released code);
      'image': of each image (paper); 'pixel': of each pixel, 1 or 0.

  Returns:
    [B, H, W] float in [0, 1].

  Raises:
    ValueError: `fraction_over` is unknown.

  Example:
    >>> confidence = jnp.array([[[0.99, 0.98, 0.5, 0.6]]])
    >>> print(quality_weight(confidence, threshold=0.968))
    [[[0.5 0.5 0.5 0.5]]]
  """
  axes = {'batch': (0, 1, 2), 'image': (1, 2), 'pixel': ()}
  if fraction_over not in axes:
    raise ValueError(
      f'fraction_over: expected one of {sorted(axes)}, got {fraction_over!r}'
    )
  confident = (confidence >= threshold).astype(confidence.dtype)
  fraction = confident.mean(axes[fraction_over], keepdims=True)
  return jnp.broadcast_to(fraction, confidence.shape)


def mask_weight(weight: jax.Array, valid_mask: jax.Array) -> jax.Array:
  """Sets the weight of invalid pixels to 0.

  Args:
    weight: [B, H, W] float; NaN is replaced as well.
    valid_mask: [B, H, W] or [H, W] bool.

  Returns:
    [B, H, W] float.

  Example:
    >>> print(mask_weight(jnp.full((1, 1, 2), 0.5), jnp.array([[True, False]])))
    [[[0.5 0. ]]]
  """
  return jnp.where(valid_mask, weight, jnp.zeros_like(weight))


def from_two_heads(
  logits: jax.Array, aux_logits: jax.Array, *, threshold: float
) -> tuple[jax.Array, jax.Array]:
  """Pseudo-labels for a main and an auxiliary head (PixMatch, released code).

  The main label is the main head's class where its confidence exceeds the
  threshold. The auxiliary label is the class of the mean probability where the
  confidence of either head does. Other pixels get `IGNORE_LABEL`.

  Args:
    logits: [..., C] float, of the main head.
    aux_logits: [..., C] float, of the auxiliary head.
    threshold: in [0, 1]; 0 labels every pixel (the paper's runs).

  Returns:
    Main and auxiliary pseudo-label, both [...] int32.

  Example:
    >>> logits = jnp.array([[3.0, 0.0], [0.1, 0.0]])
    >>> aux_logits = jnp.array([[0.0, 4.0], [0.0, 0.1]])
    >>> print(*from_two_heads(logits, aux_logits, threshold=0.9))
    [  0 255] [  1 255]
  """
  prob = jax.nn.softmax(logits, -1)
  aux_prob = jax.nn.softmax(aux_logits, -1)
  sure = prob.max(-1) > threshold
  either_sure = sure | (aux_prob.max(-1) > threshold)
  label = jnp.argmax(prob, -1)
  aux_label = jnp.argmax((prob + aux_prob) / 2, -1)
  keep = lambda mask, y: jnp.where(mask, y, labels.IGNORE_LABEL).astype(
    jnp.int32
  )
  return keep(sure, label), keep(either_sure, aux_label)


# --- Class-wise entropy, LSE (arXiv 2007.14449) ---


def entropy(prob: jax.Array) -> jax.Array:
  """Entropy of class probabilities in nats.

  -sum_c p_c ln(p_c + 1e-12) (LSE, released code: not divided by ln C).

  Args:
    prob: [..., C] float in [0, 1].

  Returns:
    [...] float32 or wider, in [0, ln C].

  Example:
    >>> print(entropy(jnp.array([[0.5, 0.5], [0.9, 0.1]])))
    [0.6931 0.3251]
  """
  # In float16, 1e-12 is 0, and the entropy of a certain pixel NaN.
  prob = prob.astype(jnp.promote_types(prob.dtype, jnp.float32))
  return -(prob * jnp.log(prob + 1e-12)).sum(-1)


def stretch_by_class(
  value: jax.Array, label: jax.Array, *, num_classes: int
) -> jax.Array:
  """Rescales values to [0, 1] within each class of each image.

  (value - min) / (max - min) over the pixels of the same label and image (LSE,
  released code), so that one limit selects a similar fraction of every class.

  Args:
    value: [..., H, W] float.
    label: [..., H, W] int in [0, C).
    num_classes: C.

  Returns:
    [..., H, W] float; NaN (0 / 0) where all values of a class are equal.

  Example:
    >>> value = jnp.array([[1.0, 2.0, 3.0, 10.0, 20.0]])
    >>> label = jnp.array([[0, 0, 0, 1, 1]])
    >>> print(stretch_by_class(value, label, num_classes=2))
    [[0.  0.5 1.  0.  1. ]]
  """
  member = label[..., None] == jnp.arange(num_classes)
  spread = lambda fill: jnp.where(member, value[..., None], fill)
  low = spread(jnp.inf).min((-3, -2), keepdims=True)
  high = spread(-jnp.inf).max((-3, -2), keepdims=True)
  pick = lambda table: jnp.where(member, table, 0).sum(-1)
  low, high = pick(low), pick(high)
  return (value - low) / (high - low)


def class_means(
  value: jax.Array, label: jax.Array, *, num_classes: int
) -> jax.Array:
  """Mean of the values of each class of each image.

  Args:
    value: [..., H, W] float.
    label: [..., H, W] int in [0, C).
    num_classes: C.

  Returns:
    [..., C] float32 or wider; NaN for a class without pixels or with a NaN
    value.

  Example:
    >>> value, label = jnp.array([[1.0, 2.0, 6.0]]), jnp.array([[0, 0, 2]])
    >>> print(class_means(value, label, num_classes=3))
    [1.5 nan 6. ]
  """
  # Float16 holds no sum of 65520 pixels.
  value = value.astype(jnp.promote_types(value.dtype, jnp.float32))
  member = label[..., None] == jnp.arange(num_classes)
  total = jnp.where(member, value[..., None], 0).sum((-3, -2))
  return total / member.sum((-3, -2)).astype(value.dtype)


def below_class_limits(
  value: jax.Array, label: jax.Array, limits: jax.Array
) -> jax.Array:
  """Mask of the pixels whose value is below the limit of their class.

  Args:
    value: [..., H, W] float; NaN counts as below (LSE, released code).
    label: [..., H, W] int in [0, C).
    limits: [C] float; infinity and NaN keep all pixels of a class.

  Returns:
    [..., H, W] bool.

  Example:
    >>> value, label = jnp.array([[0.2, 0.7, 0.7]]), jnp.array([[0, 0, 1]])
    >>> print(below_class_limits(value, label, jnp.array([0.5, jnp.inf])))
    [[ True False  True]]
  """
  member = label[..., None] == jnp.arange(limits.shape[0])
  limit = jnp.where(member, limits.astype(value.dtype), 0).sum(-1)
  return ~(value >= limit)


def class_statistics(prob: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean confidence and mean stretched entropy of each predicted class.

  LSE ranks target images by the first and takes its limits from the second
  (released code).

  Args:
    prob: [..., H, W, C] float in [0, 1].

  Returns:
    Mean probability and mean stretched entropy (`stretch_by_class`) of the
    pixels of each predicted class, both [..., C] float32 or wider; NaN for a
    class that is not predicted, the second also where `stretch_by_class` is
    NaN.

  Example:
    >>> prob = jnp.array([[[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0]]])
    >>> print(*class_statistics(prob))
    [0.75 0.8   nan] [0.5 nan nan]
  """
  num_classes = prob.shape[-1]
  label = jnp.argmax(prob, -1)
  stretched = stretch_by_class(entropy(prob), label, num_classes=num_classes)
  return (
    class_means(prob.max(-1), label, num_classes=num_classes),
    class_means(stretched, label, num_classes=num_classes),
  )
