"""CLUDA (arXiv 2208.14227): contrast of fused features, added to self-training.

In both passes of the student, pixels of one class on a grid over the batch
attract each other, at the coarse resolution and between the coarse and the
detail one; a learned weight divides the loss between the two. Late in training
the detail crop of mixed images is the window of highest entropy. The base is
HRDA, or DAFormer, whose contrast has one resolution.
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

# Fields of `config.method.cluda_contrast`: `weight`; `grid`, the (height,
# width) of the contrast; `pixel_order`, see `multi_resolution_contrast`;
# `include_ignore` and `class_0_is_outside` (released code: ignored pixels are a
# class, and those of class 0 count as outside of the detail crop);
# `entropy_start`, the first step whose mixed images have the detail crop of
# highest entropy (0: never).
FIELDS = (
  'weight',
  'grid',
  'pixel_order',
  'include_ignore',
  'class_0_is_outside',
  'entropy_start',
)


class Detail(NamedTuple):
  """The detail crop on the contrast's grid.

  Attributes:
    feature: [B, h, w, D] float, zeros outside of the crop.
    inside: [B, h, w] bool, in the crop.
    weight: [B, h, w] float in (0, 1), learned.
  """

  feature: jax.Array
  inside: jax.Array
  weight: jax.Array


class Grid(NamedTuple):
  """One pass on the contrast's grid.

  Attributes:
    feature: [B, h, w, D] float, of the whole images.
    label: [B, h, w] int32.
    confidence: [B, h, w] float, the weight of pseudo-labels; None: 1.
    detail: the detail crop, None for a network without.
  """

  feature: jax.Array
  label: jax.Array
  confidence: jax.Array | None = None
  detail: Detail | None = None


def to_grid(
  config: types.Config, maps: dict[str, jax.Array], data: Labeled
) -> Grid:
  """Resamples the maps of one pass, its labels and their weights.

  Maps are resized with aligned corners, labels and the crop's mask by
  `resize.nearest`: they lie up to a cell apart (released code).
  """

  def sample(x):
    return resize.bilinear(x, config.grid, align_corners=True)

  label = resize.nearest(data.label, config.grid)
  confidence = (
    None if data.weight is None else sample(data.weight[..., None])[..., 0]
  )
  if 'fused_hr' not in maps:
    if 'fused' not in maps:
      raise ValueError(
        'config.method.add: cluda_contrast needs a network with a fused map '
        '(compact, efficientnet_lite0 to 2, encoder_decoder, hrda), got one '
        f'with the maps {sorted(maps)}'
      )
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
    Detail(
      sample(maps['fused_hr']),
      inside,
      sample(maps['feature_weight'])[..., 0],
    ),
  )


def contrast(
  config: types.Config, outputs: types.Outputs, data: Labeled
) -> jax.Array:
  """The contrast of the pixels of one pass, a scalar."""
  grid = to_grid(config, dict(outputs.maps), data)
  options = dict(
    confidence=grid.confidence,
    order=config.pixel_order,
    ignore_label=(None if config.include_ignore else labels.IGNORE_LABEL),
  )
  if grid.detail is None:
    return contrast_lib.single_resolution_contrast(
      grid.feature, grid.label, **options
    )
  return contrast_lib.multi_resolution_contrast(
    grid.feature,
    grid.detail.feature,
    grid.label,
    grid.detail.inside,
    grid.detail.weight,
    **options,
  )


def with_contrast(
  config: types.Config, segment: Callable[..., types.Terms]
) -> Callable[..., types.Terms]:
  """Adds the contrast to the terms of a pass, see `self_training.make`."""

  def both(base, name, outputs, data, weight):
    terms = segment(base, name, outputs, data, weight)
    return terms | {
      f'{name}_contrast': types.LossTerm(
        contrast(config, outputs, data), config.weight
      )
    }

  return both


def with_entropy(
  config: types.Config, operators: self_training.Operators
) -> self_training.Operators:
  """Gives mixed images the detail crop of highest entropy, late in training."""
  if not config.entropy_start:
    return operators

  def detail(key, image_size, name, phase):
    if name == 'mixed' and phase:
      return boxes.MAX_ENTROPY
    return operators.detail(key, image_size, name, phase)

  return operators._replace(detail=detail, starts=(config.entropy_start,))
