"""Cross-entropy of label maps, with ignored pixels and pixel weights."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax.ops import resize


def cross_entropy(
  logits: jax.Array,
  label: jax.Array,
  *,
  weight: jax.Array | None = None,
  class_weights: Sequence[float] = (),
  average: str = 'all',
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Mean cross-entropy of a label map.

  mean(w[label] * weight * -log softmax(logits)[label]), computed in float32 or
  wider. A label outside [0, C) that is not `ignore_label` makes the loss NaN,
  so that a wrong label table is noticed.

  Args:
    logits: [B, H, W, C] float, any values.
    label: [B, H, W] int, in [0, C) or `ignore_label`.
    weight: [B, H, W] float >= 0, the weight of each pixel; None: 1. Pixels of
      weight 0 add 0, with gradient 0, for any logits.
    class_weights: C numbers w >= 0, also as an array; (): 1. The mean is not
      divided by them (as in mmsegmentation; `torch.nn.CrossEntropyLoss` divides
      by their sum).
    average: 'all': divide by B * H * W, as DAFormer and its successors do
      (released code; images with many ignored pixels count less); 'valid':
      divide by the number of pixels that are not ignored (PixMatch, EHTDI,
      LSE).
    ignore_label: label of pixels that do not count.

  Returns:
    [] float; 0, with gradient 0, if all pixels are ignored or there are none.

  Raises:
    ValueError: `average` is neither, `label` has another size than `logits`,
      `weight` than `label`, or there is another number of `class_weights` than
      C.

  Example:
    >>> logits = jnp.array([[[[0.0, 0.0], [2.0, 0.0]]]])  # one row, two pixels
    >>> label = jnp.array([[[1, 255]]])
    >>> print(f'{cross_entropy(logits, label):.4f}')
    0.3466
    >>> print(f"{cross_entropy(logits, label, average='valid'):.4f}")
    0.6931
  """
  if average not in ('all', 'valid'):
    raise ValueError(f"average: expected 'all' or 'valid', got {average!r}")
  weights = []
  if weight is not None:
    if weight.shape != label.shape:
      raise ValueError(
        f'weight: expected the shape {label.shape} of the label, got '
        f'{weight.shape}'
      )
    weights.append(weight)
  if len(class_weights):
    weights.append(_of_label(class_weights, logits, label))
  for factor in weights:
    # Before the loss: an infinite one, also times 0, is NaN.
    logits = jnp.where((factor != 0)[..., None], logits, 0)
  loss = pixel_cross_entropy(logits, label, ignore_label=ignore_label)
  for factor in weights:
    loss = loss * factor
  if average == 'all':
    return loss.sum() / max(label.size, 1)
  return loss.sum() / jnp.maximum((label != ignore_label).sum(), 1)


def _of_label(
  class_weights: Sequence[float], logits: jax.Array, label: jax.Array
) -> jax.Array:
  """Returns the weight of each pixel's class, any number where ignored."""
  classes = logits.shape[-1]
  if len(class_weights) != classes:
    raise ValueError(
      f'class_weights: expected {classes} numbers, one a class, got '
      f'{len(class_weights)}'
    )
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  return jnp.take(jnp.asarray(class_weights, dtype), label, mode='clip')


def pixel_cross_entropy(
  logits: jax.Array,
  label: jax.Array,
  *,
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Cross-entropy -log softmax(logits)[label] of every pixel.

  Args:
    logits: [..., C] float, any values.
    label: [...] int, in [0, C) or `ignore_label`.
    ignore_label: label of pixels whose loss is 0, with gradient 0 even where
      their logits are infinite or NaN. Any other label outside [0, C) gives
      NaN, see `cross_entropy`.

  Returns:
    [...] float32 or wider, >= 0.

  Raises:
    ValueError: `label` has another shape than `logits` without its last axis.

  Example:
    >>> logits = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    >>> print(pixel_cross_entropy(logits, jnp.array([1, 1, 255])))
    [0.6931 2.1269 0. ]
  """
  if label.shape != logits.shape[:-1]:
    raise ValueError(
      f'label: expected the shape {logits.shape[:-1]} of the logits, got '
      f'{label.shape}; resized_cross_entropy resizes logits'
    )
  logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
  counts = label != ignore_label
  # Before the logarithm, whose gradient at an infinite logit is NaN.
  logits = jnp.where(counts[..., None], logits, 0)
  one_hot = label[..., None] == jnp.arange(logits.shape[-1])
  picked = jnp.where(one_hot, logits, 0).sum(-1)
  loss = jax.nn.logsumexp(logits, -1) - picked
  loss = jnp.where(one_hot.any(-1), loss, jnp.nan)
  return jnp.where(counts, loss, 0)


def focal_term(
  logits: jax.Array,
  label: jax.Array,
  *,
  gamma: float,
  of: str = 'pixel',
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Focal term that LSE adds to the cross-entropy (arXiv 2007.14449).

  mean(l (1 - exp(-l))^gamma) over the pixels that are not ignored, with l the
  cross-entropy of a pixel: pixels with a low probability of their label count
  more (focal loss, arXiv 1708.02002). The gradient includes both factors.

  Args:
    logits: [B, H, W, C] float, any values.
    label: [B, H, W] int, in [0, C) or `ignore_label`.
    gamma: >= 0; 0 gives the cross-entropy itself.
    of: 'pixel': mean of the term of each pixel; 'mean': the term of the mean
      cross-entropy, as the released code computes it for DeepLab-v2.
    ignore_label: label of pixels that do not count.

  Returns:
    [] float; 0, with gradient 0, if all pixels are ignored.

  Raises:
    ValueError: `of` is neither, or `label` has another size than `logits`.

  Example:
    >>> logits = jnp.array([[[[0.0, 0.0], [4.0, 0.0]]]])
    >>> label = jnp.zeros((1, 1, 2), int)
    >>> print(f'{focal_term(logits, label, gamma=0.0):.4f}')
    0.3556
    >>> print(f'{focal_term(logits, label, gamma=3.0):.4f}')
    0.0433
  """
  if of not in ('pixel', 'mean'):
    raise ValueError(f"of: expected 'pixel' or 'mean', got {of!r}")

  def factor(loss: jax.Array) -> jax.Array | float:
    if not gamma:
      return 1.0
    # Below an exponent of 1, a power has no gradient at 0.
    some = loss > 0
    return jnp.where(some, (-jnp.expm1(-jnp.where(some, loss, 1))) ** gamma, 0)

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
  class_weights: Sequence[float] = (),
  average: str = 'all',
  ignore_label: int = labels.IGNORE_LABEL,
) -> jax.Array:
  """Mean cross-entropy of logits resized to the size of the label map.

  Bilinear with half-pixel centers, as in DAFormer and its successors; then
  `cross_entropy`.

  Args:
    logits: [B, h, w, C] float, any values.
    label: [B, H, W] int, in [0, C) or `ignore_label`.
    weight: [B, H, W] float >= 0, the weight of each pixel; None: 1.
    class_weights: see `cross_entropy`.
    average: see `cross_entropy`.
    ignore_label: label of pixels that do not count.

  Returns:
    [] float; 0, with gradient 0, if all pixels are ignored.

  Example:
    >>> logits = jnp.array([[[[0.0, 0.0], [4.0, 0.0]]]])
    >>> label = jnp.zeros((1, 2, 4), int)
    >>> print(f'{resized_cross_entropy(logits, label):.4f}')
    0.2683
  """
  logits = resize.bilinear(logits, label.shape[-2:])
  return cross_entropy(
    logits,
    label,
    weight=weight,
    class_weights=class_weights,
    average=average,
    ignore_label=ignore_label,
  )
