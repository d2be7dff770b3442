"""EHTDI (arXiv 2208.06100): more information from the target's own pixels.

The network's own prediction labels the target, as in PixMatch. Source classes
are pasted into two views of the target; what is confident in the weak one is
cut out of the strong one and pasted into the source; the views are contrasted
pixel by pixel and class by class.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import types
from uda_jax.augment import class_paste
from uda_jax.augment import classmix
from uda_jax.augment import weak_strong
from uda_jax.losses import segmentation
from uda_jax.losses import view_contrast
from uda_jax.methods import aux_head
from uda_jax.ops import resize

VARIANTS = ('main', 'edge')
FIELDS = (
  'variant',
  'confidence',
  'weight_aux',
  'weight_mixed',
  'weight_into_source',
  'weight_view_contrast',
  'class_scale',
  'pixel_scale',
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
    source_views: `f(key, pixels, label) -> views.Views` of the source.
    target_views: the same of the target, with its pseudo-label.
    choose_classes: `f(key, label) -> mask`: [B, H, W] bool, the pixels of the
      source's views to paste.
    prepare: `f(key, pixels) -> pixels`, of every image of both domains.
  """

  source_views: Callable[..., weak_strong.Views]
  target_views: Callable[..., weak_strong.Views]
  choose_classes: Callable[[jax.Array, jax.Array], jax.Array]
  prepare: Callable[..., jax.Array] = lambda key, pixels: pixels


class Confident(NamedTuple):
  """What of the target is pasted into the source.

  Attributes:
    mask: [B, h, w] bool.
    label: [B, h, w] int32, what is learned there.
    contrast_label: [B, h, w] int32, the classes of the contrast, or ignored.
    sure: [B, h, w] bool, the confident pixels alone.
  """

  mask: jax.Array
  label: jax.Array
  contrast_label: jax.Array
  sure: jax.Array


def operators(config, num_classes: int) -> Operators:
  """The operators that training uses.

  Fields: `crop_size`, `crop_area`, `crop_aspect` of the views; `paste_classes`,
  the classes of the source that are drawn from, and `paste_offset` (-1 as
  released, 0 as meant), see `pasting.paste_mask`; `blur`, the share of images
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


def confident_area(
  logits: jax.Array,
  mixed: class_paste.PastedViews,
  *,
  confidence: float = 0.95,
  variant: str = 'main',
) -> Confident:
  """Finds what is confident in a weak view.

  In the edge variant `logits` are those of the view without pasted classes,
  and the pasted pixels, whose labels are true, always belong to the area.

  Args:
    logits: [B, h, w, C] float, at the view's size.
    mixed: the view; its images are not looked at.
    confidence: the probability that a pixel must exceed.
    variant: 'main' or 'edge'.
  """
  label, prob = pseudo_labels.from_logits(logits)
  # A target pixel without a label is not valid.
  valid_mask = mixed.pasted | (mixed.label != labels.IGNORE_LABEL)
  sure = (prob > confidence) & valid_mask
  known = jnp.where(sure, label, labels.IGNORE_LABEL)
  known = jnp.where(mixed.pasted, mixed.label, known)
  if variant == 'main':
    return Confident(sure, label, known, sure)
  return Confident(sure | mixed.pasted, known, known, sure)


def contrast(
  config, strong: types.Outputs, weak: types.Outputs, label: jax.Array
) -> aux_head.Terms:
  """The terms between the two views; no gradient is stopped, both move.

  With `config.contrast_stride`, the logits are first shrunk to that stride, for
  networks whose own is finer.
  """
  strong, weak = map(aux_head.low_logits, (strong, weak))
  if config.contrast_stride:
    size = tuple(-(-n // config.contrast_stride) for n in label.shape[1:])
    strong, weak = resize.bilinear(strong, size), resize.bilinear(weak, size)
  values = {
    'class_contrast': view_contrast.view_class_contrast(
      strong,
      weak,
      label,
      temperature=1 / config.class_scale,
      all_images=config.class_contrast_all_images,
    ),
    'pixel_contrast': view_contrast.view_pixel_contrast(
      strong, weak, temperature=1 / config.pixel_scale
    ),
  }
  return {
    name: types.LossTerm(value, config.weight_view_contrast)
    for name, value in values.items()
  }


def on_border(config, label: jax.Array, border: jax.Array) -> jax.Array:
  """Returns the label on the border, ignored elsewhere.

  As released, nothing is left if one of the first two images has no border.
  """
  if config.border_needs_all:
    border &= border.any((1, 2))[:2].all()
  return jnp.where(border, label, labels.IGNORE_LABEL)


def target_terms(
  config,
  logits: aux_head.Logits,
  mixed: class_paste.PastedViews,
  aux_label: jax.Array,
) -> aux_head.Terms:
  """The terms of the strong view with source classes in it."""
  terms = aux_head.cross_entropies(
    config, 'mixed', logits, mixed.label, aux_label, config.weight_mixed
  )
  if config.variant == 'edge':
    border = class_paste.mask_border(mixed.pasted)
    terms |= aux_head.cross_entropies(
      config,
      'mixed_border',
      logits,
      on_border(config, mixed.label, border),
      on_border(config, aux_label, border),
      config.weight_mixed,
    )
  return terms


def source_terms(
  config,
  logits: aux_head.Logits,
  label: jax.Array,
  aux_label: jax.Array,
  border: jax.Array,
) -> aux_head.Terms:
  """The terms of the source with confident target pixels in it.

  The edge variant's are weighted within the term, hence the products.
  """
  weight = config.weight_into_source
  border_label = on_border(config, label, border)
  if config.into_source_first_only:
    logits, label, aux_label, border_label = jax.tree.map(
      lambda x: x[:1], (logits, label, aux_label, border_label)
    )
  value = lambda x, y: segmentation.cross_entropy(x, y, average='valid')
  term = types.LossTerm
  terms = {'into_source_main': term(value(logits.main, label), weight)}
  if config.variant == 'edge':
    terms['into_source_border'] = term(
      value(logits.main, border_label), weight * weight
    )
    if config.weight_aux:
      terms['into_source_aux'] = term(
        value(logits.aux, aux_label),
        weight * config.weight_mixed * config.weight_aux,
      )
  return terms


def into_source(
  area: Confident,
  mixed: class_paste.PastedViews,
  source: weak_strong.Views,
  aux_label: jax.Array,
) -> tuple[jax.Array, ...]:
  """Pastes the area into the source: pixels, and both heads' labels."""
  aux_label = classmix.mix(mixed.pasted, mixed.label, aux_label)
  return (
    classmix.mix(area.mask, mixed.strong, source.strong),
    classmix.mix(area.mask, area.label, source.label),
    classmix.mix(area.mask, aux_label, source.label),
  )


def adapt(
  config,
  operators: Operators,
  keys,
  batch: types.Batch,
  pixels,
  stats: types.PyTree,
  forward: Callable[..., Any],
) -> tuple[aux_head.Terms, types.PyTree, dict[str, jax.Array]]:
  """Everything after the supervised pass: terms, statistics, panels.

  `forward(stats, pixels, key) -> (outputs, stats)` is the network in training
  mode; statistics go from pass to pass in the paper's order.
  """
  enlarge = lambda outputs, x: aux_head.enlarge(config, outputs, x.shape[1:3])

  # 2. The clean target is labelled, without gradient but in training mode.
  outputs, stats = forward(stats, pixels['target'])
  label, _ = pseudo_labels.from_logits(enlarge(outputs, pixels['target']).main)
  label = jnp.where(batch.target.valid_mask, label, labels.IGNORE_LABEL)

  # 3. Views of both domains; source classes go into those of the target.
  source = operators.source_views(
    keys['source_views'], pixels['source'], batch.source.label
  )
  target = operators.target_views(keys['target_views'], pixels['target'], label)
  pasted = operators.choose_classes(keys['classes'], source.label)
  mixed = class_paste.paste_classes(pasted, source, target)
  strong, stats = forward(stats, mixed.strong, keys['strong'])
  weak, stats = forward(stats, mixed.weak, keys['weak'])

  # 4. What is confident goes into the source.
  logits = enlarge(weak, mixed.weak)
  _, aux_label = pseudo_labels.from_two_heads(*logits, threshold=0.0)
  if config.variant == 'edge':
    unmixed, stats = forward(stats, target.weak)
    logits = enlarge(unmixed, target.weak)
  area = confident_area(
    logits.main, mixed, confidence=config.confidence, variant=config.variant
  )
  image, *image_labels = into_source(area, mixed, source, aux_label)
  into, stats = forward(stats, image, keys['into_source'])

  # 5. The losses.
  terms = target_terms(config, enlarge(strong, mixed.strong), mixed, aux_label)
  terms |= source_terms(
    config,
    enlarge(into, image),
    *image_labels,
    class_paste.mask_border(area.sure) & ~pasted,
  )
  terms |= contrast(config, strong, weak, area.contrast_label)
  return (
    terms,
    stats,
    {
      'target': pixels['target'],
      'pseudo_label': label,
      'mixed_strong': mixed.strong,
      'mixed_weak': mixed.weak,
      'mixed_label': mixed.label,
      'pasted': pasted,
      'aux_label': aux_label,
      'into_source': image,
      'into_source_label': image_labels[0],
      'into_source_aux_label': image_labels[1],
      'confident': area.sure,
      'contrast_label': area.contrast_label,
    },
  )


def check(config) -> None:
  """Raises ValueError for an unknown variant."""
  if config.variant not in VARIANTS:
    raise ValueError(
      f'config.method.variant: expected one of {VARIANTS}, got '
      f'{config.variant!r}'
    )


def make(config, operators: Operators) -> types.Method:
  """Makes the method.

  Fields: `variant` ('main', or 'edge': more weight on the borders of what is
  pasted); `confidence`, the limit of what goes into the source; `weight_aux`
  (of the auxiliary head), `weight_mixed` (target with source classes),
  `weight_into_source`, `weight_view_contrast`; `class_scale` and `pixel_scale`,
  the inverse temperatures; `contrast_stride` (0: the network's own);
  `into_source_first_only` and `class_contrast_all_images` (True and False as
  released: only the group's first image has these terms); `border_needs_all`,
  see `on_border`; `adapt_from`, the step before which only the source is
  learned from (0 in the paper's runs, which start from trained networks).
  """
  check(config)

  def loss(params, state, batch, key, network, frozen, *, phase=0):
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
    pixels = {
      name: operators.prepare(keys[f'prepare_{name}'], images)
      for name, images in (
        ('source', batch.source.image),
        ('target', batch.target.image),
      )
    }

    # 1. The source, with its labels.
    outputs, stats = network.forward(
      params,
      state.student.batch_stats,
      network.normalize(pixels['source']),
      key=keys['source'],
    )
    label = batch.source.label
    terms = aux_head.cross_entropies(
      config,
      'source',
      aux_head.enlarge(config, outputs, label.shape[1:]),
      label,
      label,
      1.0,
    )
    panels, metrics = {'source': pixels['source'], 'label': label}, {}

    if aux_head.adapts(config, phase):
      own, stats, maps = adapt(
        config,
        operators,
        keys,
        batch,
        pixels,
        stats,
        lambda stats, x, key=None: network.forward(
          params, stats, network.normalize(x), key=key
        ),
      )
      terms |= own
      panels |= maps
      metrics['pseudo/confident_share'] = jnp.mean(
        maps['confident'], dtype=terms['source_main'].value.dtype
      )

    # Batch norm's statistics are no function to be differentiated.
    return types.Losses(
      terms,
      jax.lax.stop_gradient(stats),
      teacher_stats=None
      if state.teacher is None
      else state.teacher.batch_stats,
      metrics=metrics,
      panels=panels,
    )

  return types.Method(loss, starts=aux_head.starts(config))
