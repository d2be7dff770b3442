"""Self-training with a mean teacher and ClassMix: the base of the field.

The teacher labels the target; half of the source's classes are pasted onto it;
the student learns from the source and from the mixed, colour-jittered image.
DACS (arXiv 2007.08702) as DAFormer runs it (arXiv 2111.14887, section 3);
PiPa and CLUDA add terms to this loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import state as state_lib
from uda_jax.augment import mixing
from uda_jax.augment import photometric
from uda_jax.augment import resize
from uda_jax.losses import segmentation


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    choose_classes: `f(key, source_label) -> mask`: [B, H, W] bool, the source
      pixels to paste.
    augment: `f(key, pixels) -> pixels`, [B, H, W, 3] in 0..255.
  """

  choose_classes: Callable[[jax.Array, jax.Array], jax.Array]
  augment: Callable[[jax.Array, jax.Array], jax.Array]


class Mixed(NamedTuple):
  """The mixed images: pixels, labels, and the weight of each pixel."""

  pixels: jax.Array
  label: jax.Array
  weight: jax.Array


def operators(config, num_classes: int) -> Operators:
  """The operators that training uses; fields as in `make`."""

  def choose_classes(key, source_label):
    chosen = mixing.draw_classes(
        key, source_label, num_classes=num_classes,
        choose_from=config.mix_classes_from,
        include_ignore=config.mix_include_ignore)
    return mixing.class_mask(source_label, chosen)

  return Operators(choose_classes, photometric.strong_augment)


def pseudo_label(config, state, batch, network):
  """The teacher's labels for the target, and how much to trust each pixel.

  Returns:
    Labels [B, H, W] int32, weights [B, H, W] float, the share of confident
    pixels, and the teacher's new batch statistics.
  """
  teacher = state.teacher
  outputs, stats = network.forward(
      teacher.params, teacher.batch_stats,
      network.normalise(batch.target.image),
      use_running_average=config.teacher_bn == 'ema')
  logits = resize.bilinear(outputs.logits, batch.target.trusted.shape[1:3])
  label, confidence = pseudo_labels.from_logits(logits)
  weight = pseudo_labels.quality_weight(
      confidence, threshold=config.threshold,
      share_over=config.pseudo_weight)
  share = jnp.mean(confidence >= config.threshold, dtype=confidence.dtype)
  weight = pseudo_labels.mask_untrusted(weight, batch.target.trusted)
  return jax.lax.stop_gradient((label, weight, share, stats))


def mix(keys, operators, batch, label, weight) -> Mixed:
  """Pastes source classes onto the target; jitters and blurs the result."""
  mask = operators.choose_classes(keys['mix'], batch.source.label)
  pixels = mixing.mix(mask, batch.source.image, batch.target.image)
  return Mixed(
      pixels=operators.augment(keys['augment'], pixels),
      label=mixing.mix(mask, batch.source.label, label),
      weight=mixing.mix(mask, jnp.ones_like(weight), weight))


def make(config, operators: Operators) -> state_lib.Method:
  """Makes the method.

  Fields: `threshold` (confidence limit), `pseudo_weight` ('batch', 'image',
  'pixel': over what the share of confident pixels is taken), `teacher_bn`
  ('batch' as released, 'ema': the running statistics), `ce_average` ('all'
  pixels as released, or 'valid' ones), `weight_mixed`, `mix_classes_from`
  ('batch' as released, or 'image'), `mix_include_ignore`.
  """

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    del frozen, phase
    keys = rng.streams(key, 'source', 'mix', 'augment', 'mixed')
    cross_entropy = segmentation.resized_cross_entropy

    # 1. The student on the source.
    outputs, stats = network.forward(
        params, state.student.batch_stats,
        network.normalise(batch.source.image), key=keys['source'])
    source = cross_entropy(outputs.logits, batch.source.label,
                           average=config.ce_average)

    # 2. The teacher labels the target.
    label, weight, share, teacher_stats = pseudo_label(
        config, state, batch, network)

    # 3. The student on the mixture.
    mixed = mix(keys, operators, batch, label, weight)
    outputs, stats = network.forward(
        params, stats, network.normalise(mixed.pixels), key=keys['mixed'])
    mixed_loss = cross_entropy(outputs.logits, mixed.label,
                               weight=mixed.weight,
                               average=config.ce_average)

    return state_lib.Losses(
        terms={'source': state_lib.LossTerm(source),
               'mixed': state_lib.LossTerm(mixed_loss, config.weight_mixed)},
        student_stats=stats,
        teacher_stats=teacher_stats,
        metrics={'pseudo/confident_share': share},
        panels={'source': batch.source.image, 'label': batch.source.label,
                'target': batch.target.image, 'pseudo_label': label,
                'mixed': mixed.pixels, 'mixed_label': mixed.label,
                'mixed_weight': mixed.weight})

  return state_lib.Method(loss)
