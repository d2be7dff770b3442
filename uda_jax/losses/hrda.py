"""Cross-entropies of a network that sees an image at two scales (HRDA)."""

from __future__ import annotations

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
  average: str = 'all',
) -> dict[str, tuple[jax.Array, float]]:
  """Computes the terms of HRDA's loss (arXiv 2204.13132, equation 11).

  The fused and the context logits are compared with the whole label, the
  detail logits with its crop; each is enlarged to its label first.

  Args:
    fused: [B, h, w, C] float logits of whole images.
    detail: [B, h', w', C] float logits of the crops, of the same stride.
    context: [B, h'', w'', C] float logits of whole images. In HRDA's released
      code they come attenuated by the attention.
    label: [B, H, W] int, in [0, C) or `IGNORE_LABEL`.
    box: [4] or [B, 4] int32, the crops in the label; None where `detail`
      covers whole images.
    detail_weight: of the term `detail`; published: 0.1.
    context_weight: of the term `context`; published: 0.
    weight: [B, H, W] float >= 0 of each pixel, 1 if not given.
    average: see `segmentation.cross_entropy`.

  Returns:
    Name -> (value [], weight), `fused` with what the others leave of 1. A term
    of weight 0 is left out. A map of ignored pixels gives 0.
  """
  inputs = {
    'fused': (fused, label, weight, 1 - detail_weight - context_weight),
    'context': (context, label, weight, context_weight),
  }
  if box is not None:
    stride = label.shape[1] // fused.shape[1]
    size = tuple(n * stride for n in detail.shape[1:3])
    label = boxes.cut(label, box, size)
    weight = None if weight is None else boxes.cut(weight, box, size)
  inputs['detail'] = detail, label, weight, detail_weight
  return {
    name: (
      segmentation.resized_cross_entropy(
        logits, label, weight=weight, average=average
      ),
      share,
    )
    for name, (logits, label, weight, share) in inputs.items()
    if share
  }
