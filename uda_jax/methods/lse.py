"""LSE (arXiv 2007.14449): learning from scale-invariant examples.

Rounds of self-training without a teacher. Between the rounds (`rounds.py`) the
network ranks the target images class by class, labels the best ones where the
class-wise entropy is low, and cuts windows out of them that are enlarged but
keep the labels of the normal scale. This is the step inside a round: it learns
from a source image and from such a window, whose labels come with the batch.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax import rng
from uda_jax import types
from uda_jax.losses import segmentation
from uda_jax.ops import resize

FIELDS = (
  'weight_focal',
  'gamma',
  'focal_of',
  'class_weights',
  'freeze_statistics',
  'adapt_from',
)


def make(config: types.Config) -> types.Method:
  """Makes the method; the network's dropout is its only random operator.

  Fields: `weight_focal` (beta; 0: no focal term), `gamma`, `focal_of` ('pixel',
  or 'mean' as released for DeepLab-v2), `class_weights` of the cross-entropies
  (not of the focal term), see `segmentation.cross_entropy`,
  `freeze_statistics` (batch norm keeps its running statistics; as released it
  sees the single images), `adapt_from` (the step before which only the source
  is learned from, and with which the first round begins; 0 in the paper's runs,
  which start from trained networks).
  """
  starts = (config.adapt_from,) if config.adapt_from else ()
  return types.Method(functools.partial(_loss, config, starts), starts=starts)


def _loss(
  config, starts, params, state, batch, key, network, frozen, *, phase=0
) -> types.Losses:
  """See `types.Method.loss`."""
  del frozen
  keys = rng.streams(key, 'source', 'target')

  def logits(domain, stats, data):
    outputs, stats = network.forward(
      params,
      stats,
      network.normalize(data.image),
      key=keys[domain],
      use_running_average=config.freeze_statistics,
    )
    return resize.bilinear(outputs.logits, data.label.shape[1:]), stats

  # 1. The source, with its labels.
  source, stats = logits('source', state.student.batch_stats, batch.source)
  terms = {'source': _cross_entropy(config, source, batch.source.label)}
  panels = {'source': batch.source.image, 'label': batch.source.label}
  metrics = {}

  # 2. The enlarged window, with the labels of the normal scale. Steps on the
  #    source alone come before it.
  if phase == len(starts):
    target, stats = logits('target', stats, batch.target)
    label = batch.target.label
    terms |= _target_terms(config, target, label)
    labeled = (label != labels.IGNORE_LABEL).astype(target.dtype)
    metrics = {'pseudo/labeled_fraction': labeled.mean()}
    panels |= {
      'target': batch.target.image,
      'pseudo_label': label,
      'prediction': jnp.argmax(target, -1),
    }

  return types.Losses(
    terms, stats, state.teacher_stats, metrics=metrics, panels=panels
  )


def _cross_entropy(
  config: types.Config, logits: jax.Array, label: jax.Array
) -> types.LossTerm:
  return types.LossTerm(
    segmentation.cross_entropy(
      logits, label, class_weights=config.class_weights, average='valid'
    )
  )


def _target_terms(
  config: types.Config, logits: jax.Array, label: jax.Array
) -> dict[str, types.LossTerm]:
  """The terms of a window of the target and its mined labels."""
  terms = {'target': _cross_entropy(config, logits, label)}
  if config.weight_focal:
    terms['focal'] = types.LossTerm(
      segmentation.focal_term(
        logits, label, gamma=config.gamma, of=config.focal_of
      ),
      config.weight_focal,
    )
  return terms
