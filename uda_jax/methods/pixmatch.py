"""PixMatch (arXiv 2105.08128): consistency under perturbations of the target.

The network's own prediction on the clean target labels the perturbed target.
The moving average of the weights is for evaluation.
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
from uda_jax.augment import cutmix
from uda_jax.augment import fourier
from uda_jax.augment import random_resized_crop
from uda_jax.augment import weak_strong
from uda_jax.methods import aux_head

FIELDS = (
  'threshold',
  'class_weights',
  'weight_aux',
  'weight_augment',
  'weight_fourier',
  'weight_cutmix',
  'source_fourier',
  'crop_size',
  'crop_area',
  'crop_aspect',
  'aux_label_same_crop',
  'fourier_fraction',
  'fourier_resize_style',
  'blur',
  'adapt_from',
)


class View(NamedTuple):
  """Normalized images [B, H, W, 3], and labels [B, H, W] for both heads."""

  image: jax.Array
  label: jax.Array
  aux_label: jax.Array


# `f(key, network, source, target) -> View`; `source` and `target` are Views.
Perturbation = Callable[..., View]


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    source: `f(key, source_image, target_image) -> source_image`, normalized,
      for the supervised pass alone.
    perturbations: by name, the perturbations of the target, in the order of
      the released code (augment, fourier, cutmix).
    prepare: `f(key, pixels) -> pixels`, blur of every image of both domains.
  """

  source: Callable[..., jax.Array]
  perturbations: dict[str, Perturbation]
  prepare: Callable[..., jax.Array] = lambda key, pixels: pixels


def strong_view(
  config: types.Config, key: jax.Array, network: types.Network, target: View
) -> View:
  """Crops and color-jitters the target's pixels; crops its labels alike."""
  keys = rng.streams(key, 'box', 'aux_box', 'color')
  size = tuple(config.crop_size)

  def boxes(key):
    return random_resized_crop.draw_crops(
      key,
      target.label.shape[1:],
      batch=len(target.label),
      area=config.crop_area,
      aspect=config.crop_aspect,
    )

  box = boxes(keys['box'])
  aux_box = box if config.aux_label_same_crop else boxes(keys['aux_box'])
  pixels = weak_strong.to_bytes(network.denormalize(target.image))
  pixels = weak_strong.apply_color(
    weak_strong.crop_images(pixels, box, size),
    weak_strong.draw_color(keys['color'], batch=len(pixels)),
  )
  return View(
    network.normalize(pixels),
    weak_strong.crop_labels(target.label, box, size),
    weak_strong.crop_labels(target.aux_label, aux_box, size),
  )


def operators(config: types.Config) -> Operators:
  """The operators that training uses.

  Fields: `crop_size`, `crop_area`, `crop_aspect` of the augmented crop;
  `aux_label_same_crop` (False as released: the auxiliary label is cut by
  another box than the image); `fourier_fraction`, `fourier_resize_style` (False
  as released), see `fourier.amplitude_mix`; `source_fourier`; `blur`, the
  fraction of the images that are slightly blurred. Perturbations of weight 0
  are left out.
  """

  def mix_amplitudes(content, style):
    return fourier.amplitude_mix(
      content,
      style,
      fraction=config.fourier_fraction,
      resize_style=config.fourier_resize_style,
    )

  def augment(key, network, source, target):
    del source
    return strong_view(config, key, network, target)

  def mix_fourier(key, network, source, target):
    del key, network
    return target._replace(image=mix_amplitudes(target.image, source.image))

  def mix_boxes(key, network, source, target):
    del network
    draw = cutmix.draw_cutmix(key, source.label.shape[1:])
    image, label = cutmix.apply_cutmix(
      target.image, target.label, source.image, source.label, draw
    )
    return View(image, label, label)

  table = {'augment': augment, 'fourier': mix_fourier, 'cutmix': mix_boxes}
  return Operators(
    source=lambda key, source, target: (
      mix_amplitudes(source, target) if config.source_fourier else source
    ),
    perturbations={
      name: f for name, f in table.items() if config[f'weight_{name}']
    },
    prepare=lambda key, pixels: weak_strong.random_blur(
      key, pixels, fraction=config.blur
    ),
  )


def label_target(
  config: types.Config,
  outputs: types.Outputs,
  image: jax.Array,
  valid_mask: jax.Array,
) -> View:
  """Labels images [B, H, W, 3] with both heads; no gradient goes back."""
  _, height, width, _ = image.shape
  logits = aux_head.enlarge(config, outputs, (height, width))
  both = pseudo_labels.from_two_heads(*logits, threshold=config.threshold)
  return jax.lax.stop_gradient(
    View(
      image,
      *(jnp.where(valid_mask, label, labels.IGNORE_LABEL) for label in both),
    )
  )


def _shown(
  network: types.Network, panels: dict[str, jax.Array]
) -> dict[str, jax.Array]:
  """Denormalizes images [B, H, W, 3]; keeps label maps [B, H, W]."""
  return {
    name: network.denormalize(x) if x.ndim == 4 else x
    for name, x in panels.items()
  }


def make(config: types.Config, operators: Operators) -> types.Method:
  """Makes the method.

  Fields: `threshold` (0 in the paper's runs); `class_weights` of all
  cross-entropies, see `segmentation.cross_entropy`; `weight_aux` (of the
  auxiliary head), `weight_augment`, `weight_fourier`, `weight_cutmix`;
  `adapt_from`, the step before which only the source is learned from (0 in the
  paper's runs, which start from trained networks).
  """
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
    'source_mix',
    'source',
    *operators.perturbations,
    *(f'{name}_dropout' for name in operators.perturbations),
  )
  prepare = lambda domain, pixels: network.normalize(
    operators.prepare(keys[f'prepare_{domain}'], pixels)
  )
  label = batch.source.label
  source = View(prepare('source', batch.source.image), label, label)
  target_image = prepare('target', batch.target.image)
  learn = functools.partial(_learn, config, network, params)

  # 1. The source, with its labels.
  image = operators.source(keys['source_mix'], source.image, target_image)
  terms, stats = learn(
    'source',
    source._replace(image=image),
    state.student.batch_stats,
    1.0,
    keys['source'],
  )
  panels, metrics = {'source': image, 'label': label}, {}

  if aux_head.adapts(config, phase):
    # 2. The clean target: labels, no gradient. The network is in training mode,
    #    so the running statistics see this pass too.
    outputs, stats = network.forward(params, stats, target_image)
    target = label_target(
      config, outputs, target_image, batch.target.valid_mask
    )
    metrics['pseudo/labeled_fraction'] = jnp.mean(
      target.label != labels.IGNORE_LABEL, dtype=target_image.dtype
    )
    more, stats, maps = _perturbed(
      config, operators, keys, network, source, target, stats, learn
    )
    terms |= more
    panels |= {'target': target_image, 'pseudo_label': target.label} | maps

  return types.Losses(
    terms,
    jax.lax.stop_gradient(stats),  # Running statistics carry no gradient.
    state.teacher_stats,
    metrics=metrics,
    panels=_shown(network, panels),
  )


def _learn(
  config: types.Config,
  network: types.Network,
  params: types.PyTree,
  name: str,
  view: View,
  stats: types.PyTree,
  weight: float,
  key: jax.Array,
) -> tuple[types.Terms, types.PyTree]:
  """The terms of one pass with gradient, and the statistics after it."""
  outputs, stats = network.forward(params, stats, view.image, key=key)
  _, height, width = view.label.shape
  logits = aux_head.enlarge(config, outputs, (height, width))
  terms = aux_head.cross_entropies(
    config, name, logits, view.label, view.aux_label, weight
  )
  return terms, stats


def _perturbed(
  config: types.Config,
  operators: Operators,
  keys: dict[str, jax.Array],
  network: types.Network,
  source: View,
  target: View,
  stats: types.PyTree,
  learn: Callable[..., tuple[types.Terms, types.PyTree]],
) -> tuple[types.Terms, types.PyTree, dict[str, jax.Array]]:
  """One pass a perturbation of the target: terms, statistics, panels."""
  terms: types.Terms = {}
  panels: dict[str, jax.Array] = {}
  for name, perturb in operators.perturbations.items():
    view = perturb(keys[name], network, source, target)
    weight = config[f'weight_{name}']
    own, stats = learn(name, view, stats, weight, keys[f'{name}_dropout'])
    terms |= own
    panels |= {name: view.image, f'{name}_label': view.label}
  return terms, stats, panels
