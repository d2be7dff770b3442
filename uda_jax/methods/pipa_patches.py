"""PiPa's contrast of patches (arXiv 2211.07609), an addition to a method.

From a step on, embeddings of corresponding positions in two overlapping crops
of a target image are pulled together, those of other images in a bank pushed
away. A pass of its own: it goes on any method that trains on target images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import pseudo_labels
from uda_jax import rng
from uda_jax import types
from uda_jax.augment import pipa_jitter
from uda_jax.losses import patch_bank
from uda_jax.losses import patch_contrast
from uda_jax.methods import self_training
from uda_jax.ops import resize

# Fields of `config.method.patch_contrast`: `weight`; `start`, its first step;
# `features`, 'logits' or the network's map that the vectors are made of;
# `channels` of the vectors; `threshold` and `temperature`, see
# `patch_contrast.paired_patch_contrast`; `samples`, the cells of each of the
# two crops that go into the bank, and `bank_steps`, the steps it holds.
FIELDS = (
  'weight',
  'start',
  'features',
  'channels',
  'threshold',
  'temperature',
  'samples',
  'bank_steps',
)


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    augment_views: `f(key, pixels) -> pixels`, [B, H, W, 3] in 0..255.
    draw_cells: `f(key, *, cells) -> index` [2, n] int32 in [0, cells).
  """

  augment_views: Callable[[jax.Array, jax.Array], jax.Array]
  draw_cells: Callable[..., jax.Array]


def operators(config: types.Config) -> Operators:
  """The operators that training uses; `config` is the addition's block."""

  def draw_cells(key: jax.Array, *, cells: int) -> jax.Array:
    try:
      return patch_bank.draw_cells(key, cells=cells, count=config.samples)
    except ValueError as error:
      raise ValueError(
        f'config.method.patch_contrast.samples: {error}'
      ) from error

  return Operators(pipa_jitter.jitter_views, draw_cells)


def make_cells(vector: jax.Array, logits: jax.Array) -> patch_bank.PatchCells:
  """Cells of unit vectors [B, h, w, D] and logits [B, h, w, C]."""
  label, confidence = pseudo_labels.from_logits(jax.lax.stop_gradient(logits))
  return patch_bank.PatchCells(vector, label, confidence)


def contrast_crops(
  config: types.Config,
  crops: tuple[patch_bank.PatchCells, patch_bank.PatchCells],
  boxes: jax.Array,
  flipped: jax.Array,
  bank: patch_bank.PatchBank,
  index: jax.Array,
) -> tuple[patch_contrast.PatchContrast, patch_bank.PatchBank]:
  """The contrast of two crops' cells, and the bank with this step's block.

  Args:
    config: the addition's block.
    crops: of the first and the second crop, as the network saw them.
    boxes: [B, 2, 4] int32, the overlap in cells, before mirroring.
    flipped: [B, 2] bool, which crops are mirrored.
    bank: as the last step left it.
    index: [2, n] int32, the cells that go into the bank.
  """
  bank = patch_bank.push_bank(bank, *crops, index)
  first, second = (
    patch_contrast.mirror_back(cells, flipped[:, i])
    for i, cells in enumerate(crops)
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


def _vectors(
  config: types.Config,
  outputs: types.Outputs,
  params: types.PyTree,
  stats: types.PyTree,
  network: types.Network,
  bank: patch_bank.PatchBank,
) -> tuple[jax.Array, types.PyTree]:
  """The head's unit vectors [B, h, w, D], and the statistics after it."""
  maps = dict(outputs.maps) | {'logits': outputs.logits}
  if config.features not in maps:
    raise ValueError(
      'config.method.patch_contrast.features: expected one of the maps of the '
      f'network, {sorted(maps)}, got {config.features!r}'
    )
  vector, stats = self_training.apply_head(
    network, 'project', params, stats, pool(maps[config.features])
  )
  if vector.shape[-1] != bank.vector.shape[-1]:
    raise ValueError(
      f'config.method.patch_contrast.channels: expected {vector.shape[-1]}, '
      "the channels of the head 'project' in config.model.heads, got "
      f'{bank.vector.shape[-1]}'
    )
  return vector, stats


def patch_terms(
  config: types.Config,
  operators: Operators,
  key: jax.Array,
  params: types.PyTree,
  stats: types.PyTree,
  views: Mapping[str, jax.Array] | None,
  bank: patch_bank.PatchBank,
  network: types.Network,
  pair_stride: int = 0,
) -> tuple[
  types.Terms,
  dict[str, jax.Array],
  types.PyTree,
  patch_bank.PatchBank,
]:
  """The contrast of two crops of the target.

  Both go through the student in one pass, without dropout; the student's own
  logits label the cells. An overlap is a multiple of `pair_stride` pixels,
  which must be a multiple of the cells (0: not known).

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
  pairs = len(image)
  # The first crops, then the second ones.
  pixels = jnp.concatenate([image[:, 0], image[:, 1]])
  pixels = operators.augment_views(keys['views'], pixels)
  outputs, stats = network.forward(params, stats, network.normalize(pixels))
  logits = pool(outputs.logits)
  vector, stats = _vectors(config, outputs, params, stats, network, bank)
  cells = make_cells(vector, logits)
  first = jax.tree.map(lambda x: x[:pairs], cells)
  second = jax.tree.map(lambda x: x[pairs:], cells)
  index = operators.draw_cells(
    keys['bank'], cells=pairs * vector.shape[1] * vector.shape[2]
  )
  boxes = views['box'] // _cell_size(
    image.shape[2:4], vector.shape[1:3], pair_stride
  )
  contrast, bank = contrast_crops(
    config, (first, second), boxes, views['flipped'], bank, index
  )
  terms = {'patch': types.LossTerm(contrast.loss.sum(), config.weight)}
  fraction = contrast.active / jnp.maximum(contrast.overlap, 1)
  return terms, {'patch/active_fraction': fraction.mean()}, stats, bank


def _cell_size(
  crop: tuple[int, ...], cells: tuple[int, ...], pair_stride: int
) -> int:
  """Returns the side of a cell in pixels.

  Args:
    crop: height and width in pixels.
    cells: rows and columns of cells.
    pair_stride: pixels; the overlap of two crops is a multiple of it. 0: not
      known.

  Raises:
    ValueError: cells are not squares of whole pixels, or the stride is no
      multiple of them, so that an overlap would not be made of whole cells.
  """
  side = crop[0] // cells[0]
  if (side * cells[0], side * cells[1]) != tuple(crop):
    raise ValueError(
      'config.data.pair.crop_size: expected a multiple of the '
      f'{cells[0]} x {cells[1]} cells that the network makes of a crop, got '
      f'{tuple(crop)}; config.data.pair.stride is a multiple of their side'
    )
  if pair_stride % side:
    raise ValueError(
      f'config.data.pair.stride: expected a multiple of {side}, the side in '
      'pixels of the cells that the network makes of a crop '
      f'(config.method.patch_contrast), got {pair_stride}'
    )
  return side


def with_patches(
  config: types.Config,
  method: types.Method,
  operators: Operators,
  pair_stride: int = 0,
) -> types.Method:
  """Adds the contrast of patches and its bank from `config.start` on.

  Args:
    config: the addition's block.
    method: the method.
    operators: the random operators.
    pair_stride: see `patch_terms`.
  """
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
      pair_stride,
    )
    return losses._replace(
      terms=losses.terms | terms,
      student_stats=stats,
      method_state=bank,
      metrics=losses.metrics | metrics,
    )

  def init(key, network, batch):
    del key, network, batch
    return patch_bank.empty_bank(
      steps=config.bank_steps,
      size=2 * config.samples,
      channels=config.channels,
    )

  return method._replace(loss=loss, init=init, starts=starts)
