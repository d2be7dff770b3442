"""PixMatch (arXiv 2105.08128): consistency under perturbations of the target.

No teacher labels anything: the network's own prediction on the clean target
is the label of the perturbed target. The moving average is for evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import state as state_lib
from uda_jax.losses import segmentation


class View(NamedTuple):
  """A perturbed target: normalised image, label of the main and aux head."""

  image: jax.Array
  label: jax.Array
  aux_label: jax.Array


# `f(key, source_image, source_label, target_image, label, aux_label) -> View`,
# images normalised.
Perturbation = Callable[..., View]


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    source: `f(key, source_image, target_image) -> source_image`.
    perturbations: by name, the perturbations of the target, in the order of
      the released code (augment, fourier, cutmix).
  """

  source: Callable[..., jax.Array]
  perturbations: dict[str, Perturbation]


def make(config, operators: Operators) -> state_lib.Method:
  """Makes the method.

  Fields: `threshold` (0 in the paper's runs), `weight_aux` (of the auxiliary
  head), `weight_augment`, `weight_fourier`, `weight_cutmix`.
  """

  def head_terms(name, outputs, label, aux_label, weight):
    """The cross-entropies of both heads, over the labelled pixels."""
    value = lambda logits, y: segmentation.resized_cross_entropy(
        logits, y, average='valid')
    return {
        f'{name}_main': state_lib.LossTerm(
            value(outputs.logits, label), weight),
        f'{name}_aux': state_lib.LossTerm(
            value(outputs.aux_logits, aux_label), weight * config.weight_aux)}

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    del frozen, phase
    names = tuple(operators.perturbations)
    keys = rng.streams(key, 'source', *names)
    forward = lambda stats, image: network.forward(params, stats, image)
    source_image = network.normalise(batch.source.image)
    target_image = network.normalise(batch.target.image)

    # 1. The source, with its labels.
    outputs, stats = forward(
        state.student.batch_stats,
        operators.source(keys['source'], source_image, target_image))
    terms = head_terms('source', outputs, batch.source.label,
                       batch.source.label, 1.0)

    # 2. The clean target: labels, no gradient. The network is in training
    #    mode, so the running statistics see this pass too.
    outputs, stats = forward(stats, target_image)
    label, aux_label = jax.lax.stop_gradient(pseudo_labels.from_two_heads(
        outputs.logits, outputs.aux_logits, threshold=config.threshold))

    # 3. The perturbed target, one pass a perturbation.
    for name in names:
      view = jax.lax.stop_gradient(operators.perturbations[name](
          keys[name], source_image, batch.source.label, target_image, label,
          aux_label))
      outputs, stats = forward(stats, view.image)
      terms |= head_terms(name, outputs, view.label, view.aux_label,
                          config[f'weight_{name}'])

    return state_lib.Losses(
        terms, jax.lax.stop_gradient(stats),
        teacher_stats=state.teacher.batch_stats if state.teacher else ())

  return state_lib.Method(loss)
