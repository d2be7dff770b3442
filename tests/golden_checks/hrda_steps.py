"""HRDA's training iterations: those of DAFormer, with detail crops."""

from __future__ import annotations

from collections.abc import Iterator
import functools
import pathlib

import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import hrda as checks
from tests.golden_checks import self_training
from tests.golden_checks import transformers
from uda_jax import types
from uda_jax.configs.blocks import common as common_configs
from uda_jax.configs.blocks import hrda as configs
from uda_jax.methods import hrda
from uda_jax.methods import self_training as base

LOSSES = self_training.LOSSES | {
  'decode.hr.loss_seg': 'source_detail',
  'mix.decode.hr.loss_seg': 'mixed_detail',
}


def network(
  tensors: transformers.Tensors, *, crop_size: tuple[int, int]
) -> tuple[types.Network, types.Variables]:
  """The network of a state dict, which takes normalised images."""
  made, variables = checks.network(tensors, crop_size=crop_size)
  return made._replace(normalize=lambda image: image), variables


def step_hrda(path: pathlib.Path) -> Iterator[common.Difference]:
  """HRDA's iterations; a crop has half the image's sides, as published."""
  height, width = np.load(path)['t0.label'].shape[1:]
  crop_size = (height // 2, width // 2)
  config = configs.method(common_configs.daformer(), detail_crop=crop_size)

  def make_method(draws):
    corners = dict(zip(('source', 'mixed'), jnp.split(draws['offsets'], 2)))

    def detail(key, image_size, name, phase):
      del key, image_size, phase
      top, left = corners[name]
      return jnp.stack([top, top + crop_size[0], left, left + crop_size[1]])

    operators = self_training.operators(draws)
    return base.make(config, operators._replace(detail=detail), hrda.segment)

  yield from self_training.iterations(
    path, functools.partial(network, crop_size=crop_size), make_method, LOSSES
  )


CHECKS = {'daformer_hrda/step_hrda*.npz': step_hrda}
