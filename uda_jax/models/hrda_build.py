"""Builds HRDA, or the variant of CLUDA, from a config; see `hrda`."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn

from uda_jax import types
from uda_jax.models import daformer_head
from uda_jax.models import decode_heads
from uda_jax.models import encoder_decoder
from uda_jax.models import extra_heads
from uda_jax.models import hrda
from uda_jax.models import hrda_entropy
from uda_jax.models import network

ATTENTIONS = ('classwise', 'shared', 'fixed')

importer = encoder_decoder.importer


def build(config: types.Config, num_classes: int) -> types.Network:
  """Builds HRDA from `config.model`.

  Fields of `encoder_decoder`, and: `embed_width` (channels of the head's
  embeddings, 0: `head_width`); `attention_width` and `scale_attention`
  ('classwise', 'shared' by all classes, or 'fixed' to `fixed_attention`);
  `feature_weight` (CLUDA's head); `detail_crop`, `detail_stride`,
  `context_scale`, `order` and `entropy_rule`, see `hrda.HRDA`. `remat`
  also recomputes the heads.
  """
  module = _module(config, num_classes)
  return network.from_module(
    module,
    encoder_decoder.pixels(config),
    kernel_init=module.kernel_init,
    heads=extra_heads.build(config),
    takes_detail=True,
  )


def _module(config: types.Config, num_classes: int) -> hrda.HRDA:
  _check('scale_attention', config.scale_attention, ATTENTIONS)
  _check('order', config.order, hrda.ORDERS)
  _check('entropy_rule', config.entropy_rule, hrda_entropy.RULES)
  if any(s > c for s, c in zip(config.detail_stride, config.detail_crop)):
    raise ValueError(
      'config.model.detail_stride: expected steps of at most detail_crop '
      f'{tuple(config.detail_crop)}, between which no pixel is left out, got '
      f'{tuple(config.detail_stride)}'
    )

  def light_head(channels: int) -> nn.Module:
    return daformer_head.DAFormerHead(
      channels,
      config.attention_width,
      'conv1',
      config.head_dropout,
      network.compute_dtype(config),
    )

  head = decode_heads.head(config, num_classes)
  if config.embed_width:
    head = head.clone(embed_width=config.embed_width)
  channels = {'classwise': num_classes, 'shared': 1}.get(config.scale_attention)
  return hrda.HRDA(
    encoder_decoder.encoder(config),
    hrda.TwoScaleHead(
      head,
      light_head(channels) if channels else None,
      light_head(1) if config.feature_weight else None,
    ),
    detail_crop=tuple(config.detail_crop),
    detail_stride=tuple(config.detail_stride),
    context_scale=config.context_scale,
    order=config.order,
    fixed_attention=config.fixed_attention,
    entropy_rule=config.entropy_rule,
    remat=config.remat,
  )


def _check(field: str, value: str, expected: Sequence[str]) -> None:
  if value not in expected:
    raise ValueError(
      f'config.model.{field}: got {value!r}, expected one of {expected}.'
    )
