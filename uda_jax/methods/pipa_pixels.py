"""PiPa's contrast of pixels (arXiv 2211.07609), an addition to self-training.

Embeddings of source pixels of one class attract each other, in the pass of the
source, from the first step on. With HRDA they are those of the detail crop.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax import types
from uda_jax.losses import pixel_contrast
from uda_jax.methods import self_training
from uda_jax.ops import boxes as boxes_lib
from uda_jax.ops import resize

# Fields of `config.method.pixel_contrast`: `weight`; `max_views` and
# `max_samples`, see `pixel_contrast.draw_pixels`; `include_ignore` (released
# code: ignored pixels are a class); `align_label`, see `pixel_label`;
# `predict`, see `PREDICTIONS`.
FIELDS = (
  'weight',
  'max_views',
  'max_samples',
  'include_ignore',
  'align_label',
  'predict',
)
# A pixel is hard where the prediction is not the label. The prediction is that
# of the segmentation head, of a head that no loss trains (released code), or
# the label itself: no pixel is hard.
PREDICTIONS = ('segmentation', 'untrained', 'none')

# `f(key, label, predicted) -> pixel_contrast.PixelSample`, both maps [B, h, w]
# int32.
Sampler = Callable[..., pixel_contrast.PixelSample]


def check(config: types.Config) -> None:
  """Raises ValueError for an unknown `predict` of the contrast of pixels."""
  if config.predict not in PREDICTIONS:
    raise ValueError(
      'config.method.pixel_contrast.predict: expected one of '
      f'{PREDICTIONS}, got {config.predict!r}'
    )


def sampler(config: types.Config, num_classes: int) -> Sampler:
  """The draw of pixels that training uses; `config` is the addition's block."""
  return functools.partial(
    pixel_contrast.draw_pixels,
    num_classes=num_classes,
    max_views=config.max_views,
    max_samples=config.max_samples,
    include_ignore=config.include_ignore,
  )


def _detail_box(
  outputs: types.Outputs, label: jax.Array
) -> tuple[jax.Array, tuple[int, int]]:
  """The detail crop's box in the label, and its static (height, width)."""
  assert outputs.boxes is not None  # as there is a detail crop
  stride = label.shape[1] // outputs.logits.shape[1]
  height, width = outputs.maps['detail'].shape[1:3]
  return outputs.boxes, (height * stride, width * stride)


def pixel_label(
  config: types.Config,
  outputs: types.Outputs,
  label: jax.Array,
  size: tuple[int, int],
) -> jax.Array:
  """The source label of each embedding, [B, *size] int32.

  With a detail crop: of that crop, or without `align_label` of the whole image
  resized to the crop's embeddings (released code).
  """
  if 'detail' in outputs.maps and config.align_label:
    label = boxes_lib.cut(label, *_detail_box(outputs, label))
  return resize.nearest(label, size)


def _predicted(
  config: types.Config,
  key: jax.Array,
  params: types.PyTree,
  stats: types.PyTree,
  outputs: types.Outputs,
  features: Any,
  label: jax.Array,
  network: types.Network,
) -> jax.Array:
  """The class map [B, h, w] whose errors are the hard pixels."""
  if config.predict == 'none':
    return label
  if config.predict == 'untrained':
    # Released code: a head that no loss trains.
    logits, _ = self_training.apply_head(
      network, 'cls', params, stats, features, key=key
    )
  else:
    logits = resize.bilinear(
      dict(outputs.maps).get('detail', outputs.logits), label.shape[1:3]
    )
  return jnp.argmax(jax.lax.stop_gradient(logits), -1)


def pixel_terms(
  config: types.Config,
  sampler: Sampler,
  key: jax.Array,
  params: types.PyTree,
  stats: types.PyTree,
  outputs: types.Outputs,
  label: jax.Array,
  network: types.Network,
) -> tuple[types.Terms, types.PyTree]:
  """The contrast of the source's pixels, and the statistics after it.

  Args:
    config: the addition's block.
    sampler: chooses the pixels.
    key: a JAX key.
    params: the student's.
    stats: its batch statistics.
    outputs: of its pass on the source.
    label: [B, H, W] int32, of the source.
    network: with the head 'proj'.
  """
  keys = rng.streams(key, 'predict', 'sample')
  features = dict(outputs.maps).get('detail_features', outputs.features)
  embedding, stats = self_training.apply_head(
    network, 'proj', params, stats, features
  )
  _, height, width, _ = embedding.shape
  label = pixel_label(config, outputs, label, (height, width))
  predicted = _predicted(
    config, keys['predict'], params, stats, outputs, features, label, network
  )
  sample = sampler(keys['sample'], label, predicted)
  loss = pixel_contrast.sampled_pixel_contrast(embedding, sample)
  return {'pixel': types.LossTerm(loss, config.weight)}, stats


def source_terms(config: types.Config, sampler: Sampler) -> Callable[..., Any]:
  """The contrast of pixels as `source_terms` of `self_training.make`."""
  check(config)
  return functools.partial(pixel_terms, config, sampler)
