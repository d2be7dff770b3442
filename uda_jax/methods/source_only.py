"""Training on the source alone, the baseline of adaptation.

With the labeled target as its source it is the upper bound, the "oracle".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax import types
from uda_jax.augment import dacs_jitter
from uda_jax.losses import segmentation

FIELDS = ('augment', 'weight_aux', 'average', 'class_weights')


class Operators(NamedTuple):
  """The random operators: `augment(key, pixels [B, H, W, 3]) -> pixels`."""

  augment: Callable[[jax.Array, jax.Array], jax.Array]


def operators(config: types.Config) -> Operators:
  """The operators of `config`: color jitter and blur if `augment` is on."""
  if not config.augment:
    return Operators(augment=lambda key, pixels: pixels)
  return Operators(augment=dacs_jitter.strong_augment)


def make(config: types.Config, operators: Operators) -> types.Method:
  """Makes the method.

  Fields: `weight_aux` of an auxiliary head's loss (0: off), `average` and
  `class_weights` of the cross-entropy, see `segmentation.cross_entropy`.
  """

  def cross_entropy(logits, label):
    return segmentation.resized_cross_entropy(
      logits,
      label,
      class_weights=config.class_weights,
      average=config.average,
    )

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    del frozen, phase
    keys = rng.streams(key, 'augment', 'source')
    pixels = operators.augment(
      keys['augment'], batch.source.image.astype(jnp.float32)
    )
    outputs, stats = network.forward(
      params,
      state.student.batch_stats,
      network.normalize(pixels),
      key=keys['source'],
    )
    terms = {
      'source': types.LossTerm(
        cross_entropy(outputs.logits, batch.source.label)
      )
    }
    if config.weight_aux:
      terms['source_aux'] = types.LossTerm(
        cross_entropy(outputs.aux_logits, batch.source.label),
        config.weight_aux,
      )
    return types.Losses(
      terms,
      stats,
      state.teacher_stats,
      panels={
        'source': batch.source.image,
        'augmented': pixels,
        'label': batch.source.label,
        'prediction': jnp.argmax(outputs.logits, -1),
      },
    )

  return types.Method(loss, uses_target=False)
