"""MIC (arXiv 2212.01322): consistency of masked target images.

Blocks hide most of a target image from the student; the teacher's labels of the
whole image are its labels. One more pass and term after those of a method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax import types
from uda_jax.augment import dacs_jitter
from uda_jax.augment import masking
from uda_jax.methods import self_training
from uda_jax.methods import teacher_labels

# Fields of `config.method.masking`: `weight`; `ratio` and `block_size`, see
# `masking.draw_mask`; `images`, one of `IMAGES`; `bn`: batch norm normalizes
# masked images with 'batch', their own statistics, which enter the student's
# running ones (as released, for a network with batch norm in its head alone),
# or 'ema', the running ones, which stay those of whole images.
FIELDS = ('weight', 'ratio', 'block_size', 'images', 'bn')
# Images of the masked pass: all target images, jittered and blurred (the
# released code's mode 'separatetrgaug'), or the first source image with its
# truth and the first target image, both as they are ('separate').
IMAGES = ('target', 'one_of_each')
# Further fields on a base without a teacher's labels: those of
# `teacher_labels.pseudo_label` and `self_training.segment`.
LABEL_FIELDS = ('threshold', 'pseudo_weight', 'teacher_bn', 'ce_average')


class Operators(NamedTuple):
  """The random operators.

  Attributes:
    augment: `f(key, pixels) -> pixels`, [B, H, W, 3] in 0..255.
    mask: `f(key, pixels) -> mask`, [B, H, W] bool, True where visible.
    detail: see `self_training.Operators`.
  """

  augment: Callable[[jax.Array, jax.Array], jax.Array]
  mask: Callable[[jax.Array, jax.Array], jax.Array]
  detail: Callable[..., Any]


def augment_together(key: jax.Array, pixels: jax.Array) -> jax.Array:
  """Jitters and blurs all images in one order and with one sigma.

  Each image has its own jitter factors. Released code: it augments the whole
  batch at once here, and single images in the mixture.

  Args:
    key: a JAX key.
    pixels: [B, H, W, 3] in 0..255, uint8 or float.

  Returns:
    [B, H, W, 3] float in 0..255.
  """
  draw = dacs_jitter.draw_strong(key, batch=len(pixels))
  first = lambda x: jnp.broadcast_to(x[:1], x.shape)
  jitter = draw.jitter._replace(order=first(draw.jitter.order))
  return dacs_jitter.apply_strong(
    pixels, draw._replace(jitter=jitter, sigma=first(draw.sigma))
  )


def operators(
  config: types.Config,
  detail: Callable[..., Any] = lambda key, image_size, name, phase: None,
) -> Operators:
  """The operators that training uses; `config` is the masking block."""

  def mask(key, pixels):
    return masking.draw_mask(
      key,
      pixels.shape[1:3],
      batch=len(pixels),
      ratio=config.ratio,
      block_size=config.block_size,
    )

  return Operators(augment_together, mask, detail)


def _one_of_each(
  batch: types.Batch, label: jax.Array, weight: jax.Array
) -> self_training.Labeled:
  """The first source image and the first target image, with their labels.

  Args:
    batch: images [B, H, W, 3] of one size in both domains.
    label: [B, H, W] int32, of the target.
    weight: [B, H, W] float, of the target; the source's is 1.
  """
  target = batch.wanted_target()
  both = lambda a, b: jnp.concatenate([a[:1], b[:1]])
  return self_training.Labeled(
    both(batch.source.image, target.image),
    both(batch.source.label, label),
    both(jnp.ones_like(weight), weight),
  )


def _labeled(
  config: types.Config,
  base: types.Config,
  operators: Operators,
  keys: dict[str, jax.Array],
  state: types.TrainState,
  batch: types.Batch,
  network: types.Network,
) -> self_training.Labeled:
  """The images of the masked pass, not masked yet, with their labels."""
  # Self-training makes the same pass of the teacher: XLA computes it once.
  label, weight, _, _ = teacher_labels.pseudo_label(base, state, batch, network)
  if config.images == 'one_of_each':
    return _one_of_each(batch, label, weight)
  target = batch.wanted_target()
  pixels = operators.augment(keys['masked_augment'], target.image)
  return self_training.Labeled(pixels, label, weight)


def check(config: types.Config) -> None:
  """Raises ValueError unless the run has what `masking.images` needs.

  Args:
    config: the whole config.
  """
  images, data = config.method.masking.images, config.data
  if images not in IMAGES:
    raise ValueError(
      f'config.method.masking.images: expected one of {IMAGES}, got {images!r}'
    )
  sizes = tuple(data.source_image_size), tuple(data.target_image_size)
  if images == 'one_of_each' and not any(data.crop_size):
    if sizes[0] != sizes[1] or not any(sizes[0]):
      raise ValueError(
        "config.method.masking.images: expected 'target', as source and target "
        f'images have other sizes, {sizes[0]} and {sizes[1]}, got {images!r}; '
        'config.data.crop_size gives both one size'
      )


def own_fields(config: types.Config) -> types.Config:
  """Returns the masking block with the base's class weights.

  Args:
    config: `config.method` of a base that labels the target by itself.
  """
  block = config.masking.copy_and_resolve_references()
  with block.unlocked():
    block.class_weights = config.get('class_weights', ())
  return block


def with_masking(
  config: types.Config,
  base: types.Config,
  method: types.Method,
  operators: Operators,
  segment: Callable[..., types.Terms],
  *,
  start: int = 0,
) -> types.Method:
  """Adds the masked pass to a method.

  Args:
    config: the masking block, see `FIELDS`; 'one_of_each' needs source and
      target images of one size.
    base: the fields of `teacher_labels.pseudo_label` and of `segment`: the
      method's own, or those of the masking block.
    method: the method.
    operators: the random operators.
    segment: the terms of a pass, see `self_training.make`.
    start: the step of `method.starts` before which there is no masked pass,
      0: always.
  """

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    losses = method.loss(
      params, state, batch, key, network, frozen, phase=phase
    )
    if start and start not in method.starts[:phase]:
      return losses
    keys = rng.streams(key, 'masked_augment', 'mask', 'masked', 'masked_detail')
    data = _labeled(config, base, operators, keys, state, batch, network)
    pixels = data.pixels
    image = masking.apply_mask(
      network.normalize(pixels), operators.mask(keys['mask'], pixels)
    )
    outputs, stats = network.forward(
      params,
      losses.student_stats,
      image,
      key=keys['masked'],
      use_running_average=config.bn == 'ema',
      detail=operators.detail(
        keys['masked_detail'], pixels.shape[1:3], 'masked', phase
      ),
    )
    terms = segment(base, 'masked', outputs, data, config.weight)
    return losses._replace(
      terms=losses.terms | terms,
      student_stats=stats,
      panels=losses.panels | {'masked': network.denormalize(image)},
    )

  return method._replace(loss=loss)
