"""CLUDA (arXiv 2208.14227): contrast of fused features on self-training.

In both passes of the student every pixel of a grid over the batch is drawn to
those of its class, at the coarse resolution and between the coarse and the
detail one; a learned weight shares between the two. Late in training the detail
crop of mixed images is where the student is least sure. Everything else is the
base: HRDA, or DAFormer, whose contrast has one resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

from uda_jax import labels
from uda_jax import types
from uda_jax.losses import resolution_contrast as contrast_lib
from uda_jax.methods import self_training
from uda_jax.ops import boxes
from uda_jax.ops import resize

Labeled = self_training.Labeled
Terms = self_training.Terms


class Grid(NamedTuple):
  """What the contrast sees, on its grid; None where there is no such thing.

  Attributes:
    feature: [B, h, w, D] float, of the whole images.
    label: [B, h, w] int32.
    confidence: [B, h, w] float, the weight of pseudo-labels.
    detail_feature: [B, h, w, D] float, of the detail crop, zeros elsewhere.
    inside: [B, h, w] bool, in the detail crop.
    weight: [B, h, w] float in (0, 1), learned.
  """

  feature: jax.Array
  label: jax.Array
  confidence: jax.Array | None = None
  detail_feature: jax.Array | None = None
  inside: jax.Array | None = None
  weight: jax.Array | None = None


def to_grid(config, maps: dict[str, jax.Array], data: Labeled) -> Grid:
  """Resamples maps of one pass, labels and weights.

  Maps have corners on corners, labels and the crop's mask are picked as
  `resize.nearest` does: they lie up to a cell apart (released code).
  """

  def sample(x):
    return resize.bilinear(x, config.grid, align_corners=True)

  label = resize.nearest(data.label, config.grid)
  confidence = (
    None if data.weight is None else sample(data.weight[..., None])[..., 0]
  )
  if 'fused_hr' not in maps:
    return Grid(sample(maps['fused']), label, confidence)
  if 'feature_weight' not in maps:
    raise ValueError(
      'config.model.feature_weight: CLUDA on detail crops needs '
      'this head, expected True, got False'
    )
  inside = resize.nearest(maps['crop_mask'][..., 0], config.grid) > 0
  if config.class_0_is_outside:
    # Released code: the mask times the label, so that road looks like outside.
    inside &= label != 0
  return Grid(
    sample(maps['fused_lr']),
    label,
    confidence,
    sample(maps['fused_hr']),
    inside,
    sample(maps['feature_weight'])[..., 0],
  )


def contrast(config, outputs: types.Outputs, data: Labeled) -> jax.Array:
  """The contrast of the pixels of one pass, a scalar."""
  grid = to_grid(config, outputs.maps, data)
  options = dict(
    confidence=grid.confidence,
    order=config.pixel_order,
    ignore_label=(None if config.contrast_ignored else labels.IGNORE_LABEL),
  )
  if grid.detail_feature is None:
    return contrast_lib.single_resolution_contrast(
      grid.feature, grid.label, **options
    )
  return contrast_lib.multi_resolution_contrast(
    grid.feature,
    grid.detail_feature,
    grid.label,
    grid.inside,
    grid.weight,
    **options,
  )


def with_contrast(segment: Callable[..., Terms]) -> Callable[..., Terms]:
  """Adds the contrast to the terms of a pass, see `self_training.make`."""

  def both(config, name, outputs, data, weight):
    terms = segment(config, name, outputs, data, weight)
    return terms | {
      f'{name}_contrast': types.LossTerm(
        contrast(config, outputs, data), config.weight_contrast
      )
    }

  return both


def with_entropy(
  config, operators: self_training.Operators
) -> self_training.Operators:
  """Lets mixed images have the crops of highest entropy, late in training."""
  if not config.entropy_start:
    return operators

  def detail(key, image_size, name, phase):
    if name == 'mixed' and phase:
      return boxes.MAX_ENTROPY
    return operators.detail(key, image_size, name, phase)

  return operators._replace(detail=detail, starts=(config.entropy_start,))


def make(
  config,
  operators: self_training.Operators,
  segment: Callable[..., Terms] = self_training.segment,
) -> types.Method:
  """Makes the method.

  Fields of `self_training.make`, and: `weight_contrast`; `grid`, its (height,
  width); `pixel_order`, see `multi_resolution_contrast`; `contrast_ignored`
  and `class_0_is_outside` (released code: ignored pixels are a class, and
  those of class 0 count as outside of the crop); `entropy_start`, the first
  step that asks for the crops of highest entropy (0: never).

  Args:
    config: the fields above.
    operators: the random operators.
    segment: see `self_training.make`.
  """
  return self_training.make(
    config, with_entropy(config, operators), with_contrast(segment)
  )
