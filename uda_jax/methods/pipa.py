"""PiPa (arXiv 2211.07609): contrasts of pixels and of patches, two additions.

Embeddings of source pixels of one class attract each other, from the first step
on. From a later step on, embeddings of corresponding positions in two crops of
a target image are pulled together. The base is DAFormer, or HRDA, whose pixel
embeddings are those of the detail crop.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import types
from uda_jax.augment import pipa_jitter
from uda_jax.losses import patch_contrast
from uda_jax.losses import pixel_contrast
from uda_jax.methods import self_training
from uda_jax.ops import boxes as boxes_lib
from uda_jax.ops import resize

Terms = self_training.Terms

# Fields of `config.method.pixel_contrast`: `weight`; `max_views` and
# `max_samples`, see `pixel_contrast.draw_pixels`; `include_ignore` (released
# code: ignored pixels are a class); `align_label`, see `pixel_label`;
# `predict`, see `PREDICTIONS`.
PIXEL_FIELDS = (
  'weight',
  'max_views',
  'max_samples',
  'include_ignore',
  'align_label',
  'predict',
)
# Fields of `config.method.patch_contrast`: `weight`; `start`, its first step;
# `features`, 'logits' or the network's map that the vectors are made of;
# `channels` of the vectors; `threshold` and `temperature`, see
# `patch_contrast.patch_contrast`; `samples`, the cells of each of the two crops
# that go into the bank, and `bank_steps`, the steps it holds.
PATCH_FIELDS = (
  'weight',
  'start',
  'features',
  'channels',
  'threshold',
  'temperature',
  'samples',
  'bank_steps',
)

# A pixel is hard where the prediction is not the label. The prediction is that
# of the segmentation head, of a head that no loss trains (released code), or
# the label itself: no pixel is hard.
PREDICTIONS = ('segmentation', 'untrained', 'none')

# `f(key, label, predicted) -> pixel_contrast.PixelSample`, both maps [B, h, w]
# int32.
Sampler = Callable[..., pixel_contrast.PixelSample]


class PatchOperators(NamedTuple):
  """The random operators of the contrast of patches.

  Attributes:
    augment_views: `f(key, pixels) -> pixels`, [B, H, W, 3] in 0..255.
    draw_cells: `f(key, *, cells) -> index` [2, n] int32 in [0, cells).
  """

  augment_views: Callable[[jax.Array, jax.Array], jax.Array]
  draw_cells: Callable[..., jax.Array]


def check(config) -> None:
  """Raises ValueError for an unknown `predict` of the contrast of pixels."""
  if config.predict not in PREDICTIONS:
    raise ValueError(
      'config.method.pixel_contrast.predict: expected one of '
      f'{PREDICTIONS}, got {config.predict!r}'
    )


def sampler(config, num_classes: int) -> Sampler:
  """The draw of pixels that training uses."""
  return functools.partial(
    pixel_contrast.draw_pixels,
    num_classes=num_classes,
    max_views=config.max_views,
    max_samples=config.max_samples,
    include_ignore=config.include_ignore,
  )


def patch_operators(config) -> PatchOperators:
  """The operators of the contrast of patches that training uses."""

  def draw_cells(key: jax.Array, *, cells: int) -> jax.Array:
    try:
      return patch_contrast.draw_cells(key, cells=cells, count=config.samples)
    except ValueError as error:
      raise ValueError(
        f'config.method.patch_contrast.samples: {error}'
      ) from error

  return PatchOperators(pipa_jitter.jitter_views, draw_cells)


def _detail_box(outputs: types.Outputs, label: jax.Array):
  """The detail crop's box in the label, and its static (height, width)."""
  stride = label.shape[1] // outputs.logits.shape[1]
  height, width = outputs.maps['detail'].shape[1:3]
  return outputs.boxes, (height * stride, width * stride)


def pixel_label(
  config, outputs: types.Outputs, label: jax.Array, size: tuple[int, int]
) -> jax.Array:
  """The source label of each embedding, [B, *size] int32.

  With a detail crop: of that crop; or of the whole image, squeezed, as the
  released code has it (`align_label` off).
  """
  if 'detail' in outputs.maps and config.align_label:
    label = boxes_lib.cut(label, *_detail_box(outputs, label))
  return resize.nearest(label, size)


def _predicted(config, key, params, stats, outputs, features, label, network):
  """The class map that says which pixels are hard."""
  if config.predict == 'none':
    return label
  if config.predict == 'untrained':
    # Released code: a head that no loss trains.
    logits, _ = network.head('cls', params, stats, features, key=key)
  else:
    logits = resize.bilinear(
      dict(outputs.maps).get('detail', outputs.logits), label.shape[1:3]
    )
  return jnp.argmax(jax.lax.stop_gradient(logits), -1)


def pixel_terms(
  config,
  sampler: Sampler,
  key,
  params,
  stats,
  outputs: types.Outputs,
  label: jax.Array,
  network: types.Network,
) -> tuple[Terms, types.PyTree]:
  """The contrast of the source's pixels, and the statistics after it."""
  keys = rng.streams(key, 'predict', 'sample')
  features = dict(outputs.maps).get('detail_features', outputs.features)
  embedding, stats = network.head('proj', params, stats, features)
  label = pixel_label(config, outputs, label, embedding.shape[1:3])
  predicted = _predicted(
    config, keys['predict'], params, stats, outputs, features, label, network
  )
  sample = sampler(keys['sample'], label, predicted)
  loss = pixel_contrast.sampled_pixel_contrast(embedding, sample)
  return {'pixel': types.LossTerm(loss, config.weight)}, stats


def source_terms(config, sampler: Sampler) -> Callable[..., Any]:
  """The contrast of pixels as `source_terms` of `self_training.make`."""
  check(config)
  return functools.partial(pixel_terms, config, sampler)


def make_cells(
  vector: jax.Array, logits: jax.Array
) -> patch_contrast.PatchCells:
  """Cells of unit vectors [B, h, w, D] and logits [B, h, w, C]."""
  label, confidence = pseudo_labels.from_logits(jax.lax.stop_gradient(logits))
  return patch_contrast.PatchCells(vector, label, confidence)


def contrast_crops(
  config,
  crops_: tuple[patch_contrast.PatchCells, ...],
  boxes: jax.Array,
  flipped: jax.Array,
  bank: patch_contrast.PatchBank,
  index: jax.Array,
) -> tuple[patch_contrast.PatchContrast, patch_contrast.PatchBank]:
  """The contrast of two crops' cells, and the bank with this step's block.

  Args:
    config: the block; `threshold` and `temperature` are read.
    crops_: of the first and the second crop, as the network saw them.
    boxes: [B, 2, 4] int32, the overlap in cells, before mirroring.
    flipped: [B, 2] bool, which crops are mirrored.
    bank: as the last step left it.
    index: [2, n] int32, the cells that go into the bank.
  """
  bank = patch_contrast.push_bank(bank, *crops_, index)
  first, second = (
    patch_contrast.mirror_back(cells, flipped[:, i])
    for i, cells in enumerate(crops_)
  )
  return patch_contrast.paired_patch_contrast(
    first,
    second,
    boxes,
    bank,
    threshold=config.threshold,
    temperature=config.temperature,
  ), bank


def pool(x: jax.Array) -> jax.Array:
  """Averages 2 x 2 pixels of [B, h, w, C]."""
  return resize.bilinear_by_factor(x, 0.5)


def patch_terms(
  config,
  operators: PatchOperators,
  key,
  params,
  stats,
  views,
  bank,
  network: types.Network,
):
  """The contrast of two crops of the target.

  Both go through the student at once, without dropout; its own logits label
  the cells.

  Returns:
    Terms, metrics, the statistics and the bank after it.
  """
  if views is None:
    raise ValueError(
      'config.data.pair: expected pairs of crops from step '
      'config.method.patch_contrast.start on, got none; set crop_size and '
      'first_step'
    )
  keys = rng.streams(key, 'views', 'bank')
  image = views['image']
  pairs, _, height = image.shape[:3]
  # The first crops, then the second ones.
  pixels = jnp.concatenate([image[:, 0], image[:, 1]])
  pixels = operators.augment_views(keys['views'], pixels)
  outputs, stats = network.forward(params, stats, network.normalize(pixels))
  logits = pool(outputs.logits)
  features = (
    logits
    if config.features == 'logits'
    else pool(outputs.maps[config.features])
  )
  vector, stats = network.head('project', params, stats, features)
  if vector.shape[-1] != bank.vector.shape[-1]:
    raise ValueError(
      f'config.method.patch_contrast.channels: expected {vector.shape[-1]}, '
      "the channels of the head 'project' in config.model.heads, got "
      f'{bank.vector.shape[-1]}'
    )
  cells = make_cells(vector, logits)
  both = tuple(
    jax.tree.map(lambda x, part=part: x[part], cells)
    for part in (slice(pairs), slice(pairs, None))
  )
  index = operators.draw_cells(
    keys['bank'], cells=pairs * vector.shape[1] * vector.shape[2]
  )
  boxes = views['box'] // (height // vector.shape[1])
  contrast, bank = contrast_crops(
    config, both, boxes, views['flipped'], bank, index
  )
  terms = {'patch': types.LossTerm(contrast.loss.sum(), config.weight)}
  share = contrast.active / jnp.maximum(contrast.overlap, 1)
  return terms, {'patch/active_share': share.mean()}, stats, bank


def with_patches(
  config, method: types.Method, operators: PatchOperators
) -> types.Method:
  """Adds the contrast of patches and its bank from `config.start` on."""
  starts = tuple(sorted({*method.starts, config.start}))

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    begun = starts[:phase]
    losses = method.loss(
      params,
      state,
      batch,
      key,
      network,
      frozen,
      phase=sum(start in begun for start in method.starts),
    )
    if config.start not in begun:
      return losses._replace(method_state=state.method_state)
    terms, metrics, stats, bank = patch_terms(
      config,
      operators,
      key,
      params,
      losses.student_stats,
      batch.views,
      state.method_state,
      network,
    )
    return losses._replace(
      terms=losses.terms | terms,
      student_stats=stats,
      method_state=bank,
      metrics=losses.metrics | metrics,
    )

  def init(key, network, batch):
    del key, network, batch
    return patch_contrast.empty_bank(
      steps=config.bank_steps,
      size=2 * config.samples,
      channels=config.channels,
    )

  return method._replace(loss=loss, init=init, starts=starts)
