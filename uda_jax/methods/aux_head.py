"""Losses of a main and an auxiliary head, for PixMatch and EHTDI.

For networks with one head, `weight_aux` is 0.
"""

from __future__ import annotations

from typing import NamedTuple

import jax

from uda_jax import types
from uda_jax.losses import segmentation
from uda_jax.ops import resize


class Logits(NamedTuple):
  """[B, H, W, C] of both heads, at the image's size."""

  main: jax.Array
  aux: jax.Array


def enlarge(
  config: types.Config, outputs: types.Outputs, size: tuple[int, int]
) -> Logits:
  """Returns a pass's logits at the image's size.

  If `config.weight_aux` is 0, both are the main head's.
  """
  main = resize.bilinear(outputs.logits, size)
  if not config.weight_aux:
    return Logits(main, main)
  if outputs.aux_logits is None:
    raise ValueError(
      'config.method.weight_aux: expected 0, as the network of config.model '
      f'has no auxiliary head, got {config.weight_aux}; DeepLab-v2 has one'
    )
  return Logits(main, resize.bilinear(outputs.aux_logits, size))


def low_logits(outputs: types.Outputs) -> jax.Array:
  """Returns the main head's logits at the network's own resolution."""
  return dict(outputs.maps).get('low_logits', outputs.logits)


def cross_entropies(
  config: types.Config,
  name: str,
  logits: Logits,
  label: jax.Array,
  aux_label: jax.Array,
  weight: float,
) -> types.Terms:
  """The cross-entropies of both heads, averaged over the labeled pixels.

  `config` has `weight_aux` and `class_weights`.
  """

  def value(logits: jax.Array, label: jax.Array) -> jax.Array:
    return segmentation.cross_entropy(
      logits, label, class_weights=config.class_weights, average='valid'
    )

  terms = {f'{name}_main': types.LossTerm(value(logits.main, label), weight)}
  if config.weight_aux:
    terms[f'{name}_aux'] = types.LossTerm(
      value(logits.aux, aux_label), weight * config.weight_aux
    )
  return terms


def starts(config: types.Config) -> tuple[int, ...]:
  """Returns `Method.starts`: the first step on the target, if it is not 0."""
  return (config.adapt_from,) if config.adapt_from else ()


def adapts(config: types.Config, phase: int) -> bool:
  """Returns True if the target is learned from in this phase."""
  return phase == len(starts(config))
