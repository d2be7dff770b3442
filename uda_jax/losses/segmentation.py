"""Cross-entropy of label maps with ignored pixels and pixel weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax.ops import resize


def cross_entropy(
  logits: jax.Array,
  label: jax.Array,
  *,
  weight: jax.Array | None = None,
  average: str = 'all',
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Computes the mean cross-entropy of a label map.

  mean(weight * -log softmax(logits)[label]), in float32 at least. Ignored
  pixels give 0, so does a map of nothing else, with gradient 0. Any other label
  outside [0, C) makes the loss NaN: a wrong label table must not go unnoticed.

  Args:
    logits: [B, H, W, C] float, any values.
    label: [B, H, W] int, in [0, C) or `ignore_label`.
    weight: [B, H, W] float >= 0, 1 if not given.
    average: 'all': divide by B * H * W, as DAFormer and its descendants do
      (released code: heavily ignored images count less); 'valid': by the
      number of pixels that are not ignored (PixMatch, EHTDI, LSE).
    ignore_label: the label of pixels that do not count.

  Returns:
    [] float.
  """
  if average not in ('all', 'valid'):
    raise ValueError(
      f"cross_entropy: average: expected 'all' or 'valid', got {average!r}"
    )
  loss = pixel_cross_entropy(logits, label, ignore_label=ignore_label)
  if weight is not None:
    loss = loss * weight
  if average == 'all':
    return loss.sum() / label.size
  return loss.sum() / jnp.maximum((label != ignore_label).sum(), 1)


def pixel_cross_entropy(
  logits: jax.Array,
  label: jax.Array,
  *,
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Computes -log softmax(logits)[label] of every pixel.

  Args:
    logits: [..., C] float, any values.
    label: [...] int, in [0, C) or `ignore_label`.
    ignore_label: the label of pixels that get 0, with gradient 0. Any other
      label outside [0, C) gives NaN: see `cross_entropy`.

  Returns:
    [...] float32 at least, >= 0.
  """
  if label.shape != logits.shape[:-1]:
    raise ValueError(
      f'cross_entropy: label {label.shape} does not fit logits '
      f'{logits.shape}; see resized_cross_entropy'
    )
  logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
  one_hot = label[..., None] == jnp.arange(logits.shape[-1])
  picked = jnp.where(one_hot, logits, 0).sum(-1)
  loss = jax.nn.logsumexp(logits, -1) - picked
  loss = jnp.where(one_hot.any(-1), loss, jnp.nan)
  return jnp.where(label != ignore_label, loss, 0)


def focal_term(
  logits: jax.Array,
  label: jax.Array,
  *,
  gamma: float,
  of: str = 'pixel',
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Computes the focal term that LSE adds to the cross-entropy.

  mean(l (1 - exp(-l))^gamma) with l the cross-entropy of a pixel, over the
  pixels that are not ignored: uncertain pixels count more (focal loss, arXiv
  1708.02002, in LSE's form). No factor is detached.

  Args:
    logits: [B, H, W, C] float, any values.
    label: [B, H, W] int, in [0, C) or `ignore_label`.
    gamma: 0 or >= 1; 0 gives the cross-entropy itself.
    of: 'pixel'; or 'mean': the same of the mean cross-entropy, which is what
      the released code makes of it for DeepLab-v2.
    ignore_label: the label of pixels that do not count.

  Returns:
    [] float; 0 with gradient 0 if all pixels are ignored.
  """
  if of not in ('pixel', 'mean'):
    raise ValueError(f"focal_term: of: expected 'pixel' or 'mean', got {of!r}")
  # 0 ** 0 would have no gradient.
  factor = lambda loss: (-jnp.expm1(-loss)) ** gamma if gamma else 1.0
  loss = pixel_cross_entropy(logits, label, ignore_label=ignore_label)
  count = jnp.maximum((label != ignore_label).sum(), 1)
  if of == 'mean':
    mean = loss.sum() / count
    return mean * factor(mean)
  return (loss * factor(loss)).sum() / count


def resized_cross_entropy(
  logits: jax.Array,
  label: jax.Array,
  *,
  weight: jax.Array | None = None,
  average: str = 'all',
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Computes `cross_entropy` of logits enlarged to the label's size.

  Bilinear with half-pixel centres, as DAFormer and its descendants do.

  Args:
    logits: [B, h, w, C] float, any values.
    label: [B, H, W] int, in [0, C) or `ignore_label`.
    weight: [B, H, W] float >= 0, 1 if not given.
    average: see `cross_entropy`.
    ignore_label: the label of pixels that do not count.

  Returns:
    [] float; 0 if all pixels are ignored.
  """
  logits = resize.bilinear(logits, label.shape[-2:])
  return cross_entropy(
    logits, label, weight=weight, average=average, ignore_label=ignore_label
  )
