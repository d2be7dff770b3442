"""Cross-entropy of a network with a detail and a context crop (HRDA)."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from uda_jax.losses import segmentation
from uda_jax.ops import boxes


def two_scale_cross_entropy(
  fused: jax.Array,
  detail: jax.Array,
  context: jax.Array,
  label: jax.Array,
  box: jax.Array | None,
  *,
  detail_weight: float,
  context_weight: float = 0.0,
  weight: jax.Array | None = None,
  class_weights: Sequence[float] = (),
  average: str = 'all',
) -> dict[str, tuple[jax.Array, float]]:
  """Terms of HRDA's loss (arXiv 2204.13132, equation 11).

  The fused and the context logits are compared with the whole label, the
  detail logits with its crop; logits are resized to their label first.

  Args:
    fused: [B, h, w, C] float, logits of whole images.
    detail: [B, h', w', C] float, logits of the detail crops, of the same
      stride.
    context: [B, h'', w'', C] float, logits of whole images. HRDA's released
      code passes them multiplied by the attention.
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    box: [4] or [B, 4] int32 (top, bottom, left, right), the detail crop in
      pixels of the label; None if `detail` covers whole images.
    detail_weight: weight of the term `detail`; published: 0.1.
    context_weight: weight of the term `context`; published: 0.
    weight: [B, H, W] float >= 0, the weight of each pixel; None: 1.
    class_weights: see `cross_entropy`.
    average: see `cross_entropy`.

  Returns:
    Name -> (value [] float, weight). The weight of `fused` is 1 minus the other
    two. Terms of weight 0 are left out; a label map of ignored pixels gives 0.

  Raises:
    ValueError: there is a box, and the size of `label` is no multiple of that
      of `fused`.

  Example:
    >>> logits = jnp.zeros((1, 2, 2, 3))
    >>> label = jnp.zeros((1, 4, 4), int)
    >>> terms = two_scale_cross_entropy(
    ...     logits, logits, logits, label, None, detail_weight=0.25)
    >>> {name: f'{weight} * {value:.3f}' for name, (value, weight)
    ...  in terms.items()}
    {'fused': '0.75 * 1.099', 'detail': '0.25 * 1.099'}
  """
  inputs = {
    'fused': (fused, label, weight, 1 - detail_weight - context_weight),
    'context': (context, label, weight, context_weight),
  }
  if box is not None:
    stride = label.shape[1] // fused.shape[1]
    whole = tuple(n * stride for n in fused.shape[1:3])
    if label.shape[1:3] != whole:
      raise ValueError(
        f'label: expected a multiple of the size {fused.shape[1:3]} of fused, '
        f'got {label.shape[1:3]}'
      )
    size = tuple(n * stride for n in detail.shape[1:3])
    label = boxes.cut(label, box, size)
    weight = None if weight is None else boxes.cut(weight, box, size)
  inputs['detail'] = detail, label, weight, detail_weight
  return {
    name: (
      segmentation.resized_cross_entropy(
        logits,
        label,
        weight=weight,
        class_weights=class_weights,
        average=average,
      ),
      term_weight,
    )
    for name, (logits, label, weight, term_weight) in inputs.items()
    if term_weight
  }
