"""EHTDI (arXiv 2208.06100): class paste in both directions, view contrast.

The network's own prediction labels the target, as in PixMatch. Source classes
are pasted into a strong and a weak view of the target. Pixels that are
confident in the weak view are pasted, from the strong one, into the source. The
two views are contrasted pixel by pixel and class by class.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import types
from uda_jax.augment import class_paste
from uda_jax.augment import classmix
from uda_jax.augment import weak_strong
from uda_jax.methods import aux_head
from uda_jax.methods import ehtdi_terms

FIELDS = (
  'variant',
  'confidence',
  'class_weights',
  'weight_aux',
  'weight_mixed',
  'weight_into_source',
  'weight_view_contrast',
  'class_temperature',
  'pixel_temperature',
  'contrast_stride',
  'class_contrast_all_images',
  'into_source_first_only',
  'border_needs_all',
  'paste_classes',
  'paste_offset',
  'crop_size',
  'crop_area',
  'crop_aspect',
  'blur',
  'adapt_from',
)


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    source_views: `f(key, pixels, label) -> weak_strong.Views` of the source.
    target_views: the same of the target, with its pseudo-label.
    choose_classes: `f(key, label) -> mask`: [B, H, W] bool, the pixels of the
      source's views to paste.
    prepare: `f(key, pixels) -> pixels`, blur of every image of both domains.
  """

  source_views: Callable[..., weak_strong.Views]
  target_views: Callable[..., weak_strong.Views]
  choose_classes: Callable[[jax.Array, jax.Array], jax.Array]
  prepare: Callable[..., jax.Array] = lambda key, pixels: pixels


def operators(config: types.Config, num_classes: int) -> Operators:
  """The operators that training uses.

  Fields: `crop_size`, `crop_area`, `crop_aspect` of the views; `paste_classes`,
  the source classes that are drawn from, and `paste_offset` (-1 as released, 0
  as meant), see `class_paste.paste_mask`; `blur`, the fraction of the images
  that are slightly blurred.
  """
  pool = tuple(config.paste_classes)
  if not set(pool) <= set(range(num_classes)):
    raise ValueError(
      'config.method.paste_classes: expected classes in 0..'
      f'{num_classes - 1}, got {pool}'
    )

  make_views = functools.partial(
    weak_strong.weak_strong_views,
    size=tuple(config.crop_size),
    area=config.crop_area,
    aspect=config.crop_aspect,
  )

  def choose_classes(key, label):
    drawn = class_paste.draw_paste_positions(
      key, label, num_classes=num_classes, pool=pool
    )
    return class_paste.paste_mask(
      label, drawn, pool=pool, offset=config.paste_offset
    )

  return Operators(
    make_views,
    make_views,
    choose_classes,
    prepare=lambda key, pixels: weak_strong.random_blur(
      key, pixels, fraction=config.blur
    ),
  )


def into_source(
  area: ehtdi_terms.Confident,
  mixed: ehtdi_terms.Mixed,
  source: weak_strong.Views,
  aux_label: jax.Array,
) -> tuple[jax.Array, ehtdi_terms.IntoSource]:
  """Pastes the confident area into the source: [B, h, w, 3], and labels."""
  aux_label = classmix.mix(mixed.pasted, mixed.label, aux_label)
  border = class_paste.mask_border(area.sure) & ~mixed.pasted
  return classmix.mix(area.mask, mixed.strong, source.strong), (
    ehtdi_terms.IntoSource(
      classmix.mix(area.mask, area.label, source.label),
      classmix.mix(area.mask, aux_label, source.label),
      border,
    )
  )


def adapt(
  config: types.Config,
  operators: Operators,
  keys: dict[str, jax.Array],
  label: jax.Array,
  target: types.Target,
  pixels: dict[str, jax.Array],
  stats: types.PyTree,
  forward: Callable[..., tuple[types.Outputs, types.PyTree]],
) -> tuple[types.Terms, types.PyTree, dict[str, jax.Array]]:
  """All passes after the one of the source: terms, statistics, panels.

  `forward(stats, pixels, key) -> (outputs, stats)` is the network in training
  mode; statistics go from pass to pass in the paper's order. `label` is that of
  the source.
  """
  variant = ehtdi_terms.VARIANTS[config.variant]
  enlarge = lambda outputs, x: aux_head.enlarge(config, outputs, x.shape[1:3])

  # 2. The clean target is labeled, without gradient but in training mode.
  outputs, stats = forward(stats, pixels['target'])
  own, _ = pseudo_labels.from_logits(enlarge(outputs, pixels['target']).main)
  own = jnp.where(target.valid_mask, own, labels.IGNORE_LABEL)

  # 3. Views of both domains; source classes go into those of the target.
  source = operators.source_views(keys['source_views'], pixels['source'], label)
  views = operators.target_views(keys['target_views'], pixels['target'], own)
  pasted = operators.choose_classes(keys['classes'], source.label)
  mixed = class_paste.paste_classes(pasted, source, views)
  strong, stats = forward(stats, mixed.strong, keys['strong'])
  weak, stats = forward(stats, mixed.weak, keys['weak'])

  # 4. Confident target pixels go into the source.
  logits = enlarge(weak, mixed.weak)
  _, aux_label = pseudo_labels.from_two_heads(*logits, threshold=0.0)
  valid = ehtdi_terms.valid(mixed)
  aux_label = jnp.where(valid, aux_label, labels.IGNORE_LABEL)
  if variant.unmixed:
    unmixed, stats = forward(stats, views.weak)
    logits = enlarge(unmixed, views.weak)
  area = variant.area(logits.main, mixed, confidence=config.confidence)
  image, into_labels = into_source(area, mixed, source, aux_label)
  into, stats = forward(stats, image, keys['into_source'])

  # 5. The losses.
  logits = enlarge(strong, mixed.strong)
  terms = variant.target_terms(config, logits, mixed, aux_label)
  terms |= variant.source_terms(config, enlarge(into, image), into_labels)
  terms |= ehtdi_terms.contrast(config, strong, weak, area.contrast_label)
  panels = {
    'target': pixels['target'],
    'pseudo_label': own,
    'pasted': pasted,
    'aux_label': aux_label,
    'into_source': image,
  }
  return terms, stats, panels | _panels(mixed, area, into_labels)


def _panels(
  mixed: ehtdi_terms.Mixed,
  area: ehtdi_terms.Confident,
  into_source_labels: ehtdi_terms.IntoSource,
) -> dict[str, jax.Array]:
  """Returns images [B, h, w, 3] and labels [B, h, w] of the mixes by name."""
  return {
    'mixed_strong': mixed.strong,
    'mixed_weak': mixed.weak,
    'mixed_label': mixed.label,
    'into_source_label': into_source_labels.label,
    'into_source_aux_label': into_source_labels.aux_label,
    'confident': area.sure,
    'contrast_label': area.contrast_label,
  }


def check(config: types.Config) -> None:
  """Raises ValueError for an unknown variant."""
  variants = tuple(ehtdi_terms.VARIANTS)
  if config.variant not in variants:
    raise ValueError(
      f'config.method.variant: expected one of {variants}, got '
      f'{config.variant!r}'
    )


def make(config: types.Config, operators: Operators) -> types.Method:
  """Makes the method.

  Fields: `variant`, 'main' or 'edge' (losses on the borders of pasted areas);
  `confidence`, the limit of what goes into the source; `class_weights` of all
  cross-entropies, see `segmentation.cross_entropy`; `weight_aux` (of the
  auxiliary head), `weight_mixed` (target with source classes),
  `weight_into_source` (its pass stays with 0: batch norm sees it),
  `weight_view_contrast` (0: off); `class_temperature` and `pixel_temperature`
  of the contrasts; `contrast_stride` (0: the network's own);
  `into_source_first_only` and `class_contrast_all_images` (True and False as
  released: only the group's first image has these terms); `border_needs_all`,
  see `ehtdi_terms.on_border`; `adapt_from`, the step before which only the
  source is learned from (0 in the paper's runs, which start from trained
  networks).
  """
  check(config)
  return types.Method(
    functools.partial(_loss, config, operators), starts=aux_head.starts(config)
  )


def _loss(
  config, operators, params, state, batch, key, network, frozen, *, phase=0
) -> types.Losses:
  """See `types.Method.loss`."""
  del frozen
  keys = rng.streams(
    key,
    'prepare_source',
    'prepare_target',
    'source',
    'source_views',
    'target_views',
    'classes',
    'strong',
    'weak',
    'into_source',
  )
  prepare = lambda domain, pixels: operators.prepare(
    keys[f'prepare_{domain}'], pixels
  )
  pixels = {
    'source': prepare('source', batch.source.image),
    'target': prepare('target', batch.target.image),
  }
  forward = lambda stats, pixels, key=None: network.forward(
    params, stats, network.normalize(pixels), key=key
  )

  # 1. The source, with its labels.
  outputs, stats = forward(
    state.student.batch_stats, pixels['source'], keys['source']
  )
  label = batch.source.label
  logits = aux_head.enlarge(config, outputs, label.shape[1:])
  terms = aux_head.cross_entropies(config, 'source', logits, label, label, 1.0)
  panels, metrics = {'source': pixels['source'], 'label': label}, {}

  if aux_head.adapts(config, phase):
    more, stats, maps = adapt(
      config, operators, keys, label, batch.target, pixels, stats, forward
    )
    terms |= more
    panels |= maps
    metrics['pseudo/confident_fraction'] = jnp.mean(
      maps['confident'], dtype=terms['source_main'].value.dtype
    )

  return types.Losses(
    terms,
    jax.lax.stop_gradient(stats),  # Running statistics carry no gradient.
    state.teacher_stats,
    metrics=metrics,
    panels=panels,
  )
