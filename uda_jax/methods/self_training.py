"""Self-training with a mean teacher and ClassMix: the base of the field.

The teacher labels the target; half of the source's classes are pasted onto it.
The student learns from the source and from the mixed, color-jittered image. A
feature distance keeps its features of things near those of the ImageNet
encoder. DACS (arXiv 2007.08702) as DAFormer runs it (arXiv 2111.14887, section
3). HRDA is the same with detail crops; the contrasts of PiPa and CLUDA and the
masked pass of MIC are additions.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax import types
from uda_jax.augment import classmix
from uda_jax.augment import dacs_jitter
from uda_jax.losses import feature_distance
from uda_jax.losses import segmentation
from uda_jax.methods import teacher_labels

# Fields of `config.method`, see `make`.
FIELDS = (
  'threshold',
  'pseudo_weight',
  'mix_classes_from',
  'mix_include_ignore',
  'teacher_bn',
  'ce_average',
  'class_weights',
  'weight_mixed',
  'weight_distance',
  'distance_classes',
  'distance_min_fraction',
)


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    choose_classes: `f(key, source_label) -> mask`: [B, H, W] bool, the source
      pixels to paste.
    augment: `f(key, pixels) -> pixels`, [B, H, W, 3] in 0..255.
    detail: `f(key, image_size, name, phase) -> detail`, the detail boxes of
      the student's pass `name` (HRDA), None without.
    starts: the steps at which the phases of `detail` begin.
  """

  choose_classes: Callable[[jax.Array, jax.Array], jax.Array]
  augment: Callable[[jax.Array, jax.Array], jax.Array]
  detail: Callable[[jax.Array, tuple[int, int], str, int], Any] = (
    lambda key, image_size, name, phase: None
  )
  starts: tuple[int, ...] = ()


class Labeled(NamedTuple):
  """Images with labels.

  Attributes:
    pixels: [B, H, W, 3] in 0..255.
    label: [B, H, W] int32.
    weight: [B, H, W] float of each pixel's loss, None: 1.
  """

  pixels: jax.Array
  label: jax.Array
  weight: jax.Array | None = None


def make_choose_classes(
  config: types.Config, num_classes: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """Returns `Operators.choose_classes` of ClassMix; fields as in `make`."""

  def choose_classes(key, source_label):
    chosen = classmix.draw_classes(
      key,
      source_label,
      num_classes=num_classes,
      choose_from=config.mix_classes_from,
      include_ignore=config.mix_include_ignore,
    )
    return classmix.class_mask(source_label, chosen)

  return choose_classes


def operators(config: types.Config, num_classes: int) -> Operators:
  """The operators that training uses; fields as in `make`."""
  return Operators(
    make_choose_classes(config, num_classes), dacs_jitter.strong_augment
  )


def mix(
  keys: dict[str, jax.Array],
  operators: Operators,
  batch: types.Batch,
  label: jax.Array,
  weight: jax.Array,
) -> Labeled:
  """Pastes source classes onto the target; jitters and blurs the result.

  Args:
    keys: 'mix' and 'augment'.
    operators: the random operators.
    batch: one group; both domains have images of one size.
    label: [B, H, W] int32 pseudo-labels of the target.
    weight: [B, H, W] float, theirs; pasted pixels weigh 1.
  """
  mask = operators.choose_classes(keys['mix'], batch.source.label)
  target = batch.wanted_target()
  pixels = classmix.mix(mask, batch.source.image, target.image)
  return Labeled(
    pixels=operators.augment(keys['augment'], pixels),
    label=classmix.mix(mask, batch.source.label, label),
    weight=classmix.mix(mask, jnp.ones_like(weight), weight),
  )


def segment(
  config: types.Config,
  name: str,
  outputs: types.Outputs,
  data: Labeled,
  weight: float,
) -> types.Terms:
  """The terms of one pass of the student: the cross-entropy, as `name`."""
  loss = segmentation.resized_cross_entropy(
    outputs.logits,
    data.label,
    weight=data.weight,
    class_weights=config.class_weights,
    average=config.ce_average,
  )
  return {name: types.LossTerm(loss, weight)}


def distance(
  config: types.Config,
  outputs: types.Outputs,
  batch: types.Batch,
  network: types.Network,
  frozen: types.Variables | None,
) -> types.Terms:
  """Mean distance of the coarsest source features to the frozen network's.

  The frozen network runs with its running statistics and without dropout. Cells
  of the classes `config.distance_classes` count: DAFormer's feature distance.
  """
  if not config.weight_distance:
    return {}
  if frozen is None:
    raise ValueError(
      'config.method.weight_distance: expected a frozen network in the step, '
      'got none; 0 switches the distance off'
    )
  reference, _ = network.forward(
    frozen.params,
    frozen.batch_stats,
    network.normalize(batch.source.image),
    use_running_average=True,
  )
  value = feature_distance.class_feature_distance(
    outputs.features[-1],
    jax.lax.stop_gradient(reference.features[-1]),
    batch.source.label,
    num_classes=outputs.logits.shape[-1],
    classes=config.distance_classes,
    min_fraction=config.distance_min_fraction,
  )
  return {'distance': types.LossTerm(value, config.weight_distance)}


def apply_head(
  network: types.Network, name: str, *args: Any, key: jax.Array | None = None
) -> tuple[jax.Array, types.PyTree]:
  """Applies an extra head; ValueError names the field if there is none."""
  if network.head is None:
    raise ValueError(
      f'config.model.heads: expected a row ({name!r}, MAP, CHANNELS), got '
      'a network without extra heads'
    )
  return network.head(name, *args, key=key)


def no_terms(
  key: jax.Array, params: types.PyTree, stats: types.PyTree, *args: Any
) -> tuple[types.Terms, types.PyTree]:
  """Adds nothing to the pass of the source."""
  del key, params, args
  return {}, stats


def _panels(
  batch: types.Batch, pseudo_label: jax.Array, mixed: Labeled
) -> dict[str, jax.Array]:
  """Panels of the log: images [B, H, W, 3], labels and weights [B, H, W]."""
  assert mixed.weight is not None  # of `mix`
  return {
    'source': batch.source.image,
    'label': batch.source.label,
    'target': batch.wanted_target().image,
    'pseudo_label': pseudo_label,
    'mixed': mixed.pixels,
    'mixed_label': mixed.label,
    'mixed_weight': mixed.weight,
  }


def make(
  config: types.Config,
  operators: Operators,
  segment: Callable[..., types.Terms] = segment,
  source_terms: Callable[..., tuple[types.Terms, types.PyTree]] = no_terms,
) -> types.Method:
  """Makes the method.

  Fields: `threshold`, the confidence limit; `pseudo_weight` ('batch', 'image',
  'pixel'), the pixels that the confident fraction is taken over; `teacher_bn`,
  the teacher's batch-norm statistics ('batch' as released, 'ema': running);
  `ce_average` ('all' pixels as released, or 'valid' ones) and `class_weights`
  of the cross-entropies, see `segmentation.cross_entropy`; `weight_mixed`,
  `mix_classes_from` ('batch' as released, or 'image'), `mix_include_ignore`;
  `weight_distance` (0: off), `distance_classes` ((): all cells) and
  `distance_min_fraction` of the feature distance.

  Args:
    config: the fields above.
    operators: the random operators.
    segment: the terms of a pass of the student; HRDA has others for its crops,
      `cluda.with_contrast` adds one.
    source_terms: further terms of the source pass and the statistics after
      them, see `no_terms`; `pipa_pixels.source_terms` is one.
  """
  return types.Method(
    functools.partial(_loss, (config, operators, segment, source_terms)),
    starts=operators.starts,
  )


def _loss(
  made_of, params, state, batch, key, network, frozen, *, phase=0
) -> types.Losses:
  """See `types.Method.loss`; `made_of` are the arguments of `make`."""
  config, operators, segment, source_terms = made_of
  keys = rng.streams(
    key, 'source', 'source_detail', 'mix', 'augment', 'mixed', 'mixed_detail'
  )

  def student(name, stats, pixels):
    detail = operators.detail(
      keys[f'{name}_detail'], pixels.shape[1:3], name, phase
    )
    return network.forward(
      params, stats, network.normalize(pixels), key=keys[name], detail=detail
    )

  # 1. The student on the source.
  outputs, stats = student(
    'source', state.student.batch_stats, batch.source.image
  )
  source = Labeled(batch.source.image, batch.source.label)
  terms = segment(config, 'source', outputs, source, 1.0)
  terms |= distance(config, outputs, batch, network, frozen)
  more, stats = source_terms(key, params, stats, outputs, source.label, network)
  terms |= more

  # 2. The teacher labels the target.
  label, weight, fraction, teacher_stats = teacher_labels.pseudo_label(
    config, state, batch, network
  )

  # 3. The student on the mixture.
  mixed = mix(keys, operators, batch, label, weight)
  outputs, stats = student('mixed', stats, mixed.pixels)
  terms |= segment(config, 'mixed', outputs, mixed, config.weight_mixed)

  return types.Losses(
    terms=terms,
    student_stats=stats,
    teacher_stats=teacher_stats,
    metrics={'pseudo/confident_fraction': fraction},
    panels=_panels(batch, label, mixed),
  )
