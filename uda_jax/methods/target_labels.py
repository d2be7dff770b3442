"""A supervised term on the labeled part of the target, for every method.

One more pass of the student, on further target images with their labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from uda_jax import rng
from uda_jax import types
from uda_jax.augment import flip as flip_lib
from uda_jax.losses import segmentation
from uda_jax.methods import self_training

NAME = 'target_labels'


def segment(
  config: types.Config,
  name: str,
  outputs: types.Outputs,
  data: self_training.Labeled,
  weight: float,
) -> types.Terms:
  """The cross-entropy over the labeled pixels, of an auxiliary head, too.

  Args:
    config: `config.method`: `class_weights`, and `weight_aux` of the auxiliary
      head, where it has them.
    name: of the term.
    outputs: of the pass.
    data: the labels.
    weight: of the term.
  """

  def value(logits: jax.Array) -> jax.Array:
    return segmentation.resized_cross_entropy(
      logits,
      data.label,
      class_weights=config.get('class_weights', ()),
      average='valid',
    )

  terms = {name: types.LossTerm(value(outputs.logits), weight)}
  aux = config.get('weight_aux', 0.0)
  if aux and outputs.aux_logits is not None:
    terms[f'{name}_aux'] = types.LossTerm(
      value(outputs.aux_logits), weight * aux
    )
  return terms


def _mirrored(
  key: jax.Array, data: self_training.Labeled
) -> self_training.Labeled:
  """Mirrors images and labels, each with probability 1/2."""
  on = jax.random.bernoulli(key, 0.5, (len(data.pixels),))
  return data._replace(
    pixels=flip_lib.flip(jnp.asarray(data.pixels), on),
    label=flip_lib.flip(jnp.asarray(data.label), on),
  )


def with_target_labels(
  config: types.Config,
  method: types.Method,
  weight: float,
  detail: Callable[..., Any],
  segment: Callable[..., types.Terms],
) -> types.Method:
  """Adds the pass of `batch.labeled` to a method.

  The images are as the pipeline cut them, without color jitter; batch norm
  sees them last.

  Args:
    config: `config.method`.
    method: any.
    weight: of the term.
    detail: see `self_training.Operators`.
    segment: the terms of the pass, see `self_training.make`.
  """

  def loss(params, state, batch, key, network, frozen, *, phase=0):
    losses = method.loss(
      params, state, batch, key, network, frozen, phase=phase
    )
    keys = rng.streams(key, NAME, f'{NAME}_detail', f'{NAME}_flip')
    data = self_training.Labeled(batch.labeled.image, batch.labeled.label)
    if 'flip' in config:  # VFM-UDA mirrors on the device.
      data = _mirrored(keys[f'{NAME}_flip'], data)
    outputs, stats = network.forward(
      params,
      losses.student_stats,
      network.normalize(data.pixels),
      key=keys[NAME],
      # LSE as released for DeepLab-v2.
      use_running_average=config.get('freeze_statistics', False),
      detail=detail(keys[f'{NAME}_detail'], data.label.shape[1:], NAME, phase),
    )
    return losses._replace(
      terms=losses.terms | segment(config, NAME, outputs, data, weight),
      student_stats=jax.lax.stop_gradient(stats),
      panels=losses.panels
      | {'labeled_target': data.pixels, 'target_label': data.label},
    )

  return method._replace(loss=loss)
