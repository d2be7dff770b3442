"""EHTDI's loss terms and its two variants.

The edge variant (EHTDI* in the paper) adds losses on the borders of what is
pasted, and pastes the source's pixels back into the source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import labels
from uda_jax import pseudo_labels
from uda_jax import types
from uda_jax.augment import class_paste
from uda_jax.losses import segmentation
from uda_jax.losses import view_contrast
from uda_jax.methods import aux_head
from uda_jax.ops import resize

Logits = aux_head.Logits
Mixed = class_paste.PastedViews


class Confident(NamedTuple):
  """Mask and labels of the confident target pixels pasted into the source.

  Attributes:
    mask: [B, h, w] bool, the pixels to paste.
    label: [B, h, w] int32, their labels.
    contrast_label: [B, h, w] int32, the classes of the contrast, or ignored.
    sure: [B, h, w] bool, the confident pixels.
  """

  mask: jax.Array
  label: jax.Array
  contrast_label: jax.Array
  sure: jax.Array


class IntoSource(NamedTuple):
  """Labels [B, h, w] int32 of the source with target pixels in it.

  Attributes:
    label: of the main head.
    aux_label: of the auxiliary head.
    border: [B, h, w] bool, the border of the confident pixels.
  """

  label: jax.Array
  aux_label: jax.Array
  border: jax.Array


class Variant(NamedTuple):
  """The functions in which 'main' and 'edge' differ.

  Attributes:
    unmixed: True if confidence is that of the weak view without pasted classes,
      which takes one more pass.
    area: `area(logits, mixed, confidence=...) -> Confident`.
    target_terms: `f(config, logits, mixed, aux_label) -> terms` of the strong
      view with source classes in it.
    source_terms: `f(config, logits, into) -> terms` of the source with target
      pixels in it.
  """

  unmixed: bool
  area: Callable[..., Confident]
  target_terms: Callable[..., types.Terms]
  source_terms: Callable[..., types.Terms]


def valid(mixed: Mixed) -> jax.Array:
  """Returns the pixels [B, h, w] that are pasted, or valid ones of the target.

  A target pixel without a label is one that is not valid.
  """
  return mixed.pasted | (mixed.label != labels.IGNORE_LABEL)


def confident_area(
  logits: jax.Array, mixed: Mixed, *, confidence: float = 0.95
) -> Confident:
  """Selects the confident pixels of a weak view.

  Args:
    logits: [B, h, w, C] float, at the view's size.
    mixed: the view; its images are not read.
    confidence: the probability that a pixel must exceed.
  """
  label, prob = pseudo_labels.from_logits(logits)
  sure = (prob > confidence) & valid(mixed)
  known = jnp.where(sure, label, labels.IGNORE_LABEL)
  known = jnp.where(mixed.pasted, mixed.label, known)
  return Confident(sure, label, known, sure)


def confident_or_pasted_area(
  logits: jax.Array, mixed: Mixed, *, confidence: float = 0.95
) -> Confident:
  """Selects the confident pixels and the pasted ones, whose labels are true.

  Arguments as of `confident_area`, but `logits` are those of the view without
  pasted classes.
  """
  area = confident_area(logits, mixed, confidence=confidence)
  return area._replace(mask=area.sure | mixed.pasted, label=area.contrast_label)


def on_border(
  config: types.Config, label: jax.Array, border: jax.Array
) -> jax.Array:
  """Returns the label on the border, ignored elsewhere.

  Args:
    config: with `border_needs_all` (released code), ignored everywhere if one
      of the first two images has no border.
    label: [B, H, W] int32.
    border: [B, H, W] bool.
  """
  if config.border_needs_all:
    border &= border.any((1, 2))[:2].all()
  return jnp.where(border, label, labels.IGNORE_LABEL)


def target_terms(
  config: types.Config, logits: Logits, mixed: Mixed, aux_label: jax.Array
) -> types.Terms:
  """The terms of the strong view with source classes in it."""
  return aux_head.cross_entropies(
    config, 'mixed', logits, mixed.label, aux_label, config.weight_mixed
  )


def target_terms_and_borders(
  config: types.Config, logits: Logits, mixed: Mixed, aux_label: jax.Array
) -> types.Terms:
  """The terms of `target_terms`, and the same on borders of pasted classes."""
  border = class_paste.mask_border(mixed.pasted)
  return target_terms(config, logits, mixed, aux_label) | (
    aux_head.cross_entropies(
      config,
      'mixed_border',
      logits,
      on_border(config, mixed.label, border),
      on_border(config, aux_label, border),
      config.weight_mixed,
    )
  )


def _term(
  config: types.Config, logits: jax.Array, label: jax.Array, weight: float
) -> types.LossTerm:
  """The cross-entropy of the source, of its first image alone as released."""
  if config.into_source_first_only:
    logits, label = logits[:1], label[:1]
  value = segmentation.cross_entropy(
    logits, label, class_weights=config.class_weights, average='valid'
  )
  return types.LossTerm(value, weight)


def source_terms(
  config: types.Config, logits: Logits, into: IntoSource
) -> types.Terms:
  """The term of the source with confident target pixels in it."""
  weight = config.weight_into_source
  return {'into_source_main': _term(config, logits.main, into.label, weight)}


def source_terms_and_borders(
  config: types.Config, logits: Logits, into: IntoSource
) -> types.Terms:
  """The term of `source_terms`, one on borders, and the auxiliary head's.

  Both are weighted once more within the term, hence the products.
  """
  weight = config.weight_into_source
  border = on_border(config, into.label, into.border)
  terms = source_terms(config, logits, into)
  terms['into_source_border'] = _term(
    config, logits.main, border, weight * weight
  )
  if config.weight_aux:
    terms['into_source_aux'] = _term(
      config,
      logits.aux,
      into.aux_label,
      weight * config.weight_mixed * config.weight_aux,
    )
  return terms


def contrast(
  config: types.Config,
  strong: types.Outputs,
  weak: types.Outputs,
  label: jax.Array,
) -> types.Terms:
  """The contrasts of the two views; gradients go into both.

  With `config.contrast_stride`, the logits are first resized to that stride,
  for networks whose own is finer.

  Args:
    config: the method's block.
    strong: the pass of the strong view.
    weak: the pass of the weak view.
    label: [B, H, W] int32, the classes of the contrast of classes, or ignored.
  """
  weight = config.weight_view_contrast
  if not weight:
    return {}
  first, second = aux_head.low_logits(strong), aux_head.low_logits(weak)
  if config.contrast_stride:
    height, width = (-(-n // config.contrast_stride) for n in label.shape[1:])
    first = resize.bilinear(first, (height, width))
    second = resize.bilinear(second, (height, width))
  by_class = view_contrast.view_class_contrast(
    first,
    second,
    label,
    temperature=config.class_temperature,
    all_images=config.class_contrast_all_images,
  )
  by_pixel = view_contrast.view_pixel_contrast(
    first, second, temperature=config.pixel_temperature
  )
  return {
    'class_contrast': types.LossTerm(by_class, weight),
    'pixel_contrast': types.LossTerm(by_pixel, weight),
  }


VARIANTS = {
  'main': Variant(False, confident_area, target_terms, source_terms),
  'edge': Variant(
    True,
    confident_or_pasted_area,
    target_terms_and_borders,
    source_terms_and_borders,
  ),
}
