"""VFM-UDA (released code of 2025): self-training of a foundation encoder.

A mean teacher labels the target from an image and its mirror image; the student
learns from the jittered source, from the ClassMix of source and target, and
from the target with most of it hidden. VFM-UDA hides tokens; VFM-UDA++ hides
blocks of the image, and keeps the student's features near those of a frozen
network, on source and target.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax

from uda_jax import rng
from uda_jax import types
from uda_jax.augment import classmix
from uda_jax.augment import flip as flip_lib
from uda_jax.augment import masking
from uda_jax.augment import vfm_jitter
from uda_jax.methods import self_training
from uda_jax.methods import vfm_uda_terms as terms_lib

# Fields of `config.method`, see `make`.
FIELDS = (
  'threshold',
  'pseudo_weight',
  'teacher_bn',
  'mix_classes_from',
  'mix_include_ignore',
  'weight_mixed',
  'weight_masked',
  'source_augment',
  'flip',
  'mask_ratio',
  'mask_block',
  'weight_distance',
)
SOURCE_AUGMENT = {'weak': vfm_jitter.WEAK, 'strong': vfm_jitter.STRONG}
FLIPS = ('image', 'batch')

Augment = Callable[[jax.Array, jax.Array], jax.Array]


class Operators(NamedTuple):
  """The random operators; images are [B, H, W, 3] in 0..255.

  Attributes:
    flip: `f(key, batch) -> batch`, mirrors images with their labels.
    augment_source: `f(key, pixels) -> pixels` of the source pass.
    augment_target: the same, of the target before it is mixed.
    augment_mixed: the same, of the mixed images.
    augment_masked: the same, of the target of the masked pass.
    choose_classes: `f(key, source_label) -> mask`: [B, H, W] bool, the source
      pixels to paste.
    mask: `f(key, batch size, size) -> mask`: [B, *size] bool, True where
      visible; `size` as of `Network.mask_size`.
    augment_distance: `f(key, pixels) -> pixels` of the student's image in the
      feature distance; the frozen network sees the image itself.
  """

  flip: Callable[[jax.Array, types.Batch], types.Batch]
  augment_source: Augment
  augment_target: Augment
  augment_mixed: Augment
  augment_masked: Augment
  choose_classes: Callable[[jax.Array, jax.Array], jax.Array]
  mask: Callable[[jax.Array, int, tuple[int, int]], jax.Array]
  augment_distance: Augment


def operators(config: types.Config, num_classes: int) -> Operators:
  """The operators that training uses; fields as in `make`."""
  _check_choices(config)

  def flip(key, batch):
    shape = (2, len(batch.source.image)) if config.flip == 'image' else (2,)
    return terms_lib.flip_batch(
      batch, *flip_lib.flip_is_on(jax.random.uniform(key, shape))
    )

  def mask(key, batch, size):
    return masking.draw_mask(
      key,
      size,
      batch=batch,
      ratio=config.mask_ratio,
      block_size=config.mask_block,
    )

  augment = lambda strength: functools.partial(
    vfm_jitter.augment, strength=strength
  )
  return Operators(
    flip=flip,
    augment_source=augment(SOURCE_AUGMENT[config.source_augment]),
    augment_target=augment(vfm_jitter.WEAK),
    augment_mixed=augment(vfm_jitter.UDA),
    augment_masked=augment(vfm_jitter.UDA),
    choose_classes=self_training.make_choose_classes(config, num_classes),
    mask=mask,
    augment_distance=augment(vfm_jitter.WEAK),
  )


def check(config: types.Config) -> None:
  """Raises ValueError unless the run has what the feature distance needs.

  Args:
    config: the whole config.
  """
  _check_choices(config.method)
  model = config.model
  adapter = str(model.get('encoder', '')).endswith('_adapter')
  if not adapter and not model.get('mask_token', False):
    raise ValueError(
      'config.model.mask_token: expected True, or an encoder with an adapter, '
      "as 'vfm_uda' in config.method.name hides a part of the image from the "
      f'encoder, got {model.get("encoder", "")!r} without a mask token'
    )
  if not config.method.weight_distance:
    return
  if not config.model.get('reference'):
    raise ValueError(
      'config.model.reference: expected the block of a frozen network, which '
      'config.method.weight_distance measures the distance to, got none; '
      'weight_distance=0 switches it off'
    )
  heads = config.model.get('heads', ())
  if 'feature_head' not in {row[0] for row in heads}:
    raise ValueError(
      "config.model.heads: expected a row ('feature_head', 'coarsest', "
      'CHANNELS of the frozen network), which '
      f'config.method.weight_distance needs, got {tuple(heads)}'
    )


def _check_choices(config: types.Config) -> None:
  """Raises ValueError for a choice of `config.method` that is none."""
  for field, table in (('flip', FLIPS), ('source_augment', SOURCE_AUGMENT)):
    if config[field] not in table:
      raise ValueError(
        f'config.method.{field}: expected one of {sorted(table)}, got '
        f'{config[field]!r}'
      )


def _check_network(config: types.Config, network: types.Network) -> None:
  """Raises ValueError unless a network can be masked, and has a reference."""
  if network.mask_size is None:
    raise ValueError(
      "config.method.name: 'vfm_uda' hides tokens or blocks from the encoder, "
      'expected one that takes a mask (DINOv2 with config.model.mask_token, or '
      'its adapter), got another'
    )
  if config.weight_distance and network.reference is None:
    raise ValueError(
      'config.method.weight_distance: expected a network with a frozen '
      'reference (config.model.reference), got none; 0 switches the distance '
      'off'
    )


def make(config: types.Config, operators: Operators) -> types.Method:
  """Makes the method.

  Fields: `threshold`, `pseudo_weight`, `teacher_bn`, `mix_classes_from`,
  `mix_include_ignore` and `weight_mixed` as of `self_training.make`;
  `weight_masked`, the weight of the masked pass; `source_augment` ('weak':
  VFM-UDA, 'strong': VFM-UDA++); `flip`: a draw for each 'image', or one for the
  'batch' of a domain (VFM-UDA++); `mask_ratio`, the expected hidden fraction,
  and `mask_block`, the side of its blocks, in pixels or tokens of the network's
  `mask_size`; `weight_distance` of the feature distance (VFM-UDA++) to the
  network's `reference` through its head 'feature_head', 0: off.

  Args:
    config: the fields above.
    operators: the random operators.
  """
  return types.Method(functools.partial(_loss, config, operators))


def _loss(
  config, operators, params, state, batch, key, network, frozen, *, phase=0
) -> types.Losses:
  """See `types.Method.loss`."""
  del phase
  _check_network(config, network)
  keys = rng.streams(
    key, 'flip', 'source', 'target', 'mix', 'mixed', 'masked', 'mask'
  )
  batch = operators.flip(keys['flip'], batch)
  image = batch.target.image
  student = functools.partial(terms_lib.segment, keys, params, network)

  # 1. The student on the source: the mean over labeled pixels.
  jittered = operators.augment_source(keys['source'], batch.source.image)
  source = self_training.Labeled(jittered, batch.source.label)
  stats = state.student.batch_stats
  value, stats = student('source', stats, source, average='valid')
  terms = {'source': types.LossTerm(value)}

  # 2. The teacher labels the target.
  label, weight, fraction, teacher_stats = terms_lib.pseudo_label(
    config, state, batch, network
  )

  # 3. The student on the mixture.
  before, mixed = _mix(operators, keys, batch, label, weight)
  value, stats = student('mixed', stats, mixed)
  terms['mixed'] = types.LossTerm(value, config.weight_mixed)

  # 4. The student on the target, most of it hidden.
  jittered = operators.augment_masked(keys['masked'], image)
  masked = self_training.Labeled(jittered, label, weight)
  size = network.mask_size(image.shape[1:3])
  mask = operators.mask(keys['mask'], len(image), size)
  value, stats = student('masked', stats, masked, mask=mask)
  terms['masked'] = types.LossTerm(value, config.weight_masked)

  # 5. The student's features near those of the frozen network.
  if config.weight_distance:
    more, stats = terms_lib.distance_terms(
      config,
      operators.augment_distance,
      key,
      params,
      stats,
      batch,
      network,
      frozen,
    )
    terms |= more
  return types.Losses(
    terms=terms,
    student_stats=stats,
    teacher_stats=teacher_stats,
    metrics={'pseudo/confident_fraction': fraction},
    panels=terms_lib.panels(batch, source, before, mixed, masked),
  )


def _mix(
  operators: Operators,
  keys: dict[str, jax.Array],
  batch: types.Batch,
  label: jax.Array,
  weight: jax.Array,
) -> tuple[jax.Array, self_training.Labeled]:
  """Pastes the source, without jitter, onto the jittered target.

  Returns:
    Pixels [B, H, W, 3] before the mixture's own jitter, and what the student
    sees.
  """
  pasted = operators.choose_classes(keys['mix'], batch.source.label)
  before = classmix.mix(
    pasted,
    batch.source.image,
    operators.augment_target(keys['target'], batch.wanted_target().image),
  )
  mixed = operators.augment_mixed(keys['mixed'], before)
  return before, self_training.Labeled(
    mixed, *terms_lib.paste(pasted, batch.source.label, label, weight)
  )
