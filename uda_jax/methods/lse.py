"""LSE (arXiv 2007.14449): learning from scale-invariant examples.

Rounds of self-training without a teacher. Between the rounds (`rounds.py`) the
network ranks the target images class by class, labels the best ones where the
class-wise entropy is low, and cuts windows out of them that are enlarged but
keep the labels of the normal scale. This is the step inside a round: it learns
from a source image and from such a window, whose labels come with the batch.
"""

from __future__ import annotations

import jax.numpy as jnp

from uda_jax import labels
from uda_jax import rng
from uda_jax import state as state_lib
from uda_jax.augment import resize
from uda_jax.losses import segmentation


def make(config) -> state_lib.Method:
  """Makes the method; it draws nothing but the network's own dropout.

  Fields: `weight_focal` (beta; 0: no focal term), `gamma`, `focal_of` ('pixel',
  or 'mean' as released for DeepLab-v2), `freeze_statistics` (batch norm keeps
  its running statistics; as released it sees the single images).
  """

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    del frozen, phase
    if isinstance(batch.target.label, tuple):
      raise ValueError("config.rounds: method 'lse' learns from labels that "
                       'rounds make; expected the fields of configs/lse.py, '
                       'got none')
    keys = rng.streams(key, 'source', 'target')

    def logits(domain, stats, data):
      outputs, stats = network.forward(
          params, stats, network.normalise(data.image), key=keys[domain],
          use_running_average=config.freeze_statistics)
      return resize.bilinear(outputs.logits, data.label.shape[1:]), stats

    # 1. The source, with its labels.
    source, stats = logits('source', state.student.batch_stats, batch.source)
    terms = {'source': state_lib.LossTerm(segmentation.cross_entropy(
        source, batch.source.label, average='valid'))}

    # 2. The enlarged window, with the labels of the normal scale.
    target, stats = logits('target', stats, batch.target)
    terms['target'] = state_lib.LossTerm(segmentation.cross_entropy(
        target, batch.target.label, average='valid'))
    if config.weight_focal:
      terms['focal'] = state_lib.LossTerm(segmentation.focal_term(
          target, batch.target.label, gamma=config.gamma,
          of=config.focal_of), config.weight_focal)

    valid = batch.target.label != labels.IGNORE_LABEL
    # A teacher, if any, is for evaluation; it never looks at an image itself.
    return state_lib.Losses(
        terms, stats, state.teacher.batch_stats if state.teacher else (),
        metrics={'pseudo/labelled_share': jnp.mean(valid.astype(target.dtype))},
        panels={'source': batch.source.image, 'label': batch.source.label,
                'target': batch.target.image,
                'pseudo_label': batch.target.label,
                'prediction': jnp.argmax(target, -1)})

  return state_lib.Method(loss)
