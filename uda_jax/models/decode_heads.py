"""The decoder heads by name, see `encoder_decoder`."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn

from uda_jax import types
from uda_jax.models import daformer_head
from uda_jax.models import dlv2_head
from uda_jax.models import network
from uda_jax.models import pyramid_head
from uda_jax.models import segformer_head
from uda_jax.models import upscale_head


def _daformer(config: types.Config, num_classes: int) -> nn.Module:
  return daformer_head.DAFormerHead(
    num_classes,
    config.head_width,
    config.fusion,
    config.head_dropout,
    network.compute_dtype(config),
  )


def _segformer(config: types.Config, num_classes: int) -> nn.Module:
  return segformer_head.SegformerHead(
    num_classes,
    config.head_width,
    config.head_dropout,
    network.compute_dtype(config),
  )


def _dlv2(config: types.Config, num_classes: int) -> nn.Module:
  return dlv2_head.DLV2Head(
    num_classes, tuple(config.dilations), network.compute_dtype(config)
  )


def _pyramid(config: types.Config, num_classes: int) -> nn.Module:
  return pyramid_head.PyramidHead(num_classes, network.compute_dtype(config))


def _upscale(config: types.Config, num_classes: int) -> nn.Module:
  return upscale_head.UpscaleHead(num_classes, network.compute_dtype(config))


# config.model.head -> build(config.model, num_classes) -> head
HEADS: dict[str, Callable[..., nn.Module]] = {
  'daformer': _daformer,
  'dlv2': _dlv2,
  'pyramid': _pyramid,
  'segformer': _segformer,
  'upscale': _upscale,
}


def head(config: types.Config, num_classes: int) -> nn.Module:
  """Returns the head that `config.model.head` names."""
  return network.named('head', config.head, HEADS)(config, num_classes)
