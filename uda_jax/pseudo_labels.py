"""From a network's logits to training targets: labels, and trust in them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax import labels


def from_logits(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Takes the most probable class and its probability.

  Args:
    logits: [..., C] float, at the size of the image.

  Returns:
    The pseudo-label [...] int32 (the lower class if two are equal) and its
    confidence [...] float in [1/C, 1].
  """
  label = jnp.argmax(logits, -1).astype(jnp.int32)
  return label, jax.nn.softmax(logits, -1).max(-1)


def quality_weight(
  confidence: jax.Array, *, threshold: float, fraction_over: str = 'batch'
) -> jax.Array:
  """Weights pixels by the share of confident ones.

  DAFormer (arXiv 2111.14887, eq. 3). No label is dropped: an unconfident pixel
  weighs as much as the others it shares with.

  Args:
    confidence: [B, H, W] float in [0, 1].
    threshold: a pixel is confident if its confidence is not below.
    fraction_over: 'batch': one fraction for the whole group (released code);
      'image': one an image (paper); 'pixel': each pixel its own, 1 or 0.

  Returns:
    [B, H, W] float in [0, 1].
  """
  axes = {'batch': (0, 1, 2), 'image': (1, 2), 'pixel': ()}
  if fraction_over not in axes:
    raise ValueError(
      'quality_weight: fraction_over: expected one of '
      f'{sorted(axes)}, got {fraction_over!r}'
    )
  confident = (confidence >= threshold).astype(confidence.dtype)
  fraction = confident.mean(axes[fraction_over], keepdims=True)
  return jnp.broadcast_to(fraction, confidence.shape)


def mask_weight(weight: jax.Array, valid_mask: jax.Array) -> jax.Array:
  """Sets the weight of invalid pixels to 0.

  Args:
    weight: [B, H, W] float; NaN is replaced as well.
    valid_mask: bool, [B, H, W] or [H, W].

  Returns:
    [B, H, W] float.
  """
  return jnp.where(valid_mask, weight, jnp.zeros_like(weight))


def from_two_heads(
  logits: jax.Array, aux_logits: jax.Array, *, threshold: float
) -> tuple[jax.Array, jax.Array]:
  """Labels for a main and an auxiliary head (PixMatch, released code).

  The main label is the main head's where it is confident. The auxiliary label
  is the class of the mean probability where either head is confident. Pixels
  that are not (confidence must exceed the threshold) are `IGNORE_LABEL`.

  Args:
    logits: [..., C] float, of the main head.
    aux_logits: [..., C] float, of the auxiliary head.
    threshold: 0 labels every pixel (the paper's runs).

  Returns:
    Main and auxiliary pseudo-label, both [...] int32.
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
  """Computes the entropy of class probabilities, in nats.

  -sum_c p_c ln(p_c + 1e-12) (LSE, released code: not divided by ln C).

  Args:
    prob: [..., C] float in [0, 1].

  Returns:
    [...] float in [0, ln C].
  """
  return -(prob * jnp.log(prob + 1e-12)).sum(-1)


def stretch_by_class(
  value: jax.Array, label: jax.Array, *, num_classes: int
) -> jax.Array:
  """Stretches values to [0, 1] among the pixels of each class of an image.

  (value - min) / (max - min) over the pixels of the same label and image (LSE,
  released code), so that about the same share of each class lies below a limit
  whatever its level.

  Args:
    value: [..., H, W] float.
    label: [..., H, W] int in [0, C).
    num_classes: C.

  Returns:
    [..., H, W] float; NaN (0 / 0) where all values of a class are equal.
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
  """Averages values over the pixels of each class of an image.

  Args:
    value: [..., H, W] float.
    label: [..., H, W] int in [0, C).
    num_classes: C.

  Returns:
    [..., C] float; NaN for a class without pixels, or with a NaN among them.
  """
  member = label[..., None] == jnp.arange(num_classes)
  total = jnp.where(member, value[..., None], 0).sum((-3, -2))
  return total / member.sum((-3, -2)).astype(value.dtype)


def below_class_limits(
  value: jax.Array, label: jax.Array, limits: jax.Array
) -> jax.Array:
  """Says which pixels lie below the limit of their class.

  Args:
    value: [..., H, W] float; NaN counts as below (LSE, released code: every
      comparison with NaN fails, and the pixel stays).
    label: [..., H, W] int in [0, C).
    limits: [C] float; infinity keeps all, so does NaN.

  Returns:
    [..., H, W] bool.
  """
  member = label[..., None] == jnp.arange(limits.shape[0])
  limit = jnp.where(member, limits.astype(value.dtype), 0).sum(-1)
  return ~(value >= limit)


def class_statistics(prob: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Measures how sure a prediction is of each class that it gives to pixels.

  What LSE ranks images by, and sets its limits by (released code).

  Args:
    prob: [..., H, W, C] float in [0, 1].

  Returns:
    The mean probability of the pixels of each predicted class, and their mean
    stretched entropy (`stretch_by_class`); both [..., C], NaN for a class that
    is not predicted, the second also where it is not defined.
  """
  num_classes = prob.shape[-1]
  label = jnp.argmax(prob, -1)
  stretched = stretch_by_class(entropy(prob), label, num_classes=num_classes)
  return (
    class_means(prob.max(-1), label, num_classes=num_classes),
    class_means(stretched, label, num_classes=num_classes),
  )
