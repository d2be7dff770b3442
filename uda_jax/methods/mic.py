"""MIC (arXiv 2212.01322): consistency of masked target images.

The student has to see through blocks that hide most of a target image: what the
teacher says of the whole image is its label. A last pass and a last term on top
of any method of the family.
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
  """Jitters and blurs a group in one order and with one sigma.

  Factors are still those of each image (released code, which hands over the
  whole batch here and single images in the mixture).

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


def operators(config, base: self_training.Operators) -> Operators:
  """The operators that training uses; fields as in `with_masking`."""

  def mask(key, pixels):
    return masking.draw_mask(
      key,
      pixels.shape[1:3],
      batch=len(pixels),
      ratio=config.mask_ratio,
      block_size=config.mask_block,
    )

  return Operators(augment_together, mask, base.detail)


def with_masking(
  config,
  method: types.Method,
  operators: Operators,
  segment: Callable[..., self_training.Terms],
) -> types.Method:
  """Adds the masked pass to a method.

  Fields: those of `self_training.pseudo_label`, `weight_masked`, `mask_ratio`
  and `mask_block`, see `masking.draw_mask`.

  Args:
    config: the fields above.
    method: self-training or what stands on it.
    operators: the random operators.
    segment: the terms of a pass, see `self_training.make`.
  """

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    losses = method.loss(
      params, state, batch, key, network, frozen, phase=phase
    )
    keys = rng.streams(key, 'masked_augment', 'mask', 'masked', 'masked_detail')
    # The method has asked the teacher the same: XLA computes it once.
    label, weight, _, _ = self_training.pseudo_label(
      config, state, batch, network
    )
    pixels = operators.augment(keys['masked_augment'], batch.target.image)
    image = masking.apply_mask(
      network.normalize(pixels), operators.mask(keys['mask'], pixels)
    )
    outputs, stats = network.forward(
      params,
      losses.student_stats,
      image,
      key=keys['masked'],
      detail=operators.detail(
        keys['masked_detail'], pixels.shape[1:3], 'masked', phase
      ),
    )
    terms = segment(
      config,
      'masked',
      outputs,
      self_training.Labeled(pixels, label, weight),
      config.weight_masked,
    )
    return losses._replace(
      terms=losses.terms | terms,
      student_stats=stats,
      panels=losses.panels | {'masked': network.denormalize(image)},
    )

  return method._replace(loss=loss)
