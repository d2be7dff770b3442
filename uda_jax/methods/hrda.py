"""HRDA (arXiv 2204.13132): self-training with a detail crop of each image.

The network sees each image coarsely, and one crop of it in detail; the student
learns from the fused prediction and from that of the crop alone. Everything
else is the base; the teacher's network slides its crops over the image.
"""

from __future__ import annotations

from uda_jax import types
from uda_jax.losses import hrda
from uda_jax.methods import self_training
from uda_jax.ops import boxes

# Fields of self-training, and: `detail_crop`, the (height, width) of the
# network's crops; `detail_divisible` and `detail_include_last`, see
# `boxes.corner_counts`; `weight_detail` and `weight_context`, the weights of
# the two scales' losses, which the fusion's weight makes up to 1.
FIELDS = (
  *self_training.FIELDS,
  'detail_crop',
  'detail_divisible',
  'detail_include_last',
  'weight_detail',
  'weight_context',
)


def operators(
  config: types.Config, num_classes: int
) -> self_training.Operators:
  """The operators of self-training, and random boxes of the detail crop."""

  def detail(key, image_size, name, phase):
    del name, phase
    return boxes.draw_box(
      key,
      image_size,
      tuple(config.detail_crop),
      divisible=config.detail_divisible,
      include_last=config.detail_include_last,
    )

  return self_training.operators(config, num_classes)._replace(detail=detail)


def segment(
  config: types.Config,
  name: str,
  outputs: types.Outputs,
  data: self_training.Labeled,
  weight: float,
) -> types.Terms:
  """The cross-entropies of one pass: of the fusion as `name`, of each scale."""
  terms = hrda.two_scale_cross_entropy(
    outputs.logits,
    outputs.maps['detail'],
    outputs.maps['context'],
    data.label,
    outputs.boxes,
    weight=data.weight,
    class_weights=config.class_weights,
    detail_weight=config.weight_detail,
    context_weight=config.weight_context,
    average=config.ce_average,
  )
  return {
    name if scale == 'fused' else f'{name}_{scale}': types.LossTerm(
      value, weight * fraction
    )
    for scale, (value, fraction) in terms.items()
  }
