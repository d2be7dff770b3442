"""Converts a published weight file to safetensors in the canonical layout."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib
from typing import Any

import jax

from uda_jax import models
from uda_jax import types
from uda_jax.models import convnext
from uda_jax.models import dinov2
from uda_jax.models import dinov3
from uda_jax.models import efficientnet_lite
from uda_jax.models import eva02
from uda_jax.models import mix_transformer
from uda_jax.models import resnet_v1c
from uda_jax.models import weights
from uda_jax.models.weights import metadata
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict


class Fields(dict):
  """`config.model` without a config."""

  def __getattr__(self, name: str) -> Any:
    return self[name]


_DAFORMER = dict(
  name='encoder_decoder',
  heads=(),
  in_channels=3,
  dtype='float32',
  encoder='mit_b5',
  head='daformer',
  head_width=256,
  head_dropout=0.1,
  fusion='sepaspp',
  dilations=(6, 12),
  drop_path=0.1,
  attention='auto',
  remat=False,
)
_HRDA = _DAFORMER | dict(
  name='hrda',
  detail_crop=(512, 512),
  detail_stride=(256, 256),
  context_scale=0.5,
  embed_width=0,
  attention_width=256,
  scale_attention='classwise',
  fixed_attention=0.5,
  order='product_then_up',
  feature_weight=False,
  entropy_rule='clean',
)
_DEEPLAB = dict(
  name='deeplab_v2',
  in_channels=3,
  dtype='float32',
  stem=64,
  planes=(64, 128, 256, 512),
  blocks=(3, 4, 23, 3),
  aspp_branches=2,
  aux_head=True,
  remat=False,
  class_rows=(),
  resnet='caffe',
)

# --model -> config.model: the networks as published. An encoder's own file
# fits under any head.
PUBLISHED: dict[str, dict[str, Any]] = {
  **{
    name: _DAFORMER | dict(encoder=name)
    for name in (
      *mix_transformer.VARIANTS,
      *convnext.VARIANTS,
      *eva02.VARIANTS,
    )
  },
  **{
    name: _DAFORMER | dict(encoder=name, mask_token=True)
    for name in (*dinov2.VARIANTS, *dinov3.VARIANTS)
  },
  **{
    name: _DAFORMER | dict(encoder=name, head='dlv2')
    for name in resnet_v1c.VARIANTS
  },
  'daformer': _DAFORMER,
  'hrda': _HRDA,
  'cluda': _HRDA
  | dict(embed_width=512, feature_weight=True, order='up_then_product'),
  'segformer': _DAFORMER | dict(head='segformer', head_width=768),
  'deeplab_v2': _DEEPLAB,
  'deeplab_v2_lse': _DEEPLAB | dict(aux_head=False),
  'fcn8s_vgg': dict(
    name='fcn8s_vgg',
    in_channels=3,
    dtype='float32',
    widths=(64, 128, 256, 512, 512),
    fc_width=4096,
    dropout=0.5,
    preprocessing='CAFFE',
  ),
  **{
    name: dict(
      name=name,
      dtype='float32',
      heads=(),
      in_channels=3,
      width=64,
      dropout=0.1,
    )
    for name in efficientnet_lite.VARIANTS
  },
}

# Parameters do not depend on it; the shapes alone are traced.
_IMAGE_SIZE = (1024, 1024)


def convert(
  source: str,
  out: pathlib.Path,
  *,
  fields: Mapping[str, Any],
  num_classes: int,
  declared: Mapping[str, Any],
) -> weights.Provenance:
  """Writes a network's tensors of a file, and their declaration.

  Args:
    source: 'FILE' or 'FILE#PART'.
    out: the safetensors file; its declaration is written beside it.
    fields: `config.model` of the network; the file must have all tensors that a
      file of its kind has.
    num_classes: of the network's classifier.
    declared: fields of the declaration, in place of the source's.

  Returns:
    The origin of the tensors.

  Raises:
    ValueError: the file cannot be read or does not fit.
  """
  config = Fields(fields, weights=source)
  importer = models.IMPORTERS[config.name](config)
  assert importer is not None, 'weights are named'
  weights.check(importer, allow_target_labels=True)
  origin = weights.provenance(importer)
  tensors, name_of = weights.choose(importer)
  state_dict.load(tensors, _shapes(config, num_classes), name_of, source=source)
  safetensors.write(
    out,
    {n: x for n, x in tensors.items() if not n.endswith(state_dict.COUNTER)},
  )
  kept = {n: x for n, x in origin.declared.items() if n in metadata.TYPES}
  metadata.write(
    out,
    kept
    | dict(declared)
    | {
      'preprocessing': origin.preprocessing,
      'source': pathlib.Path(origin.path).name,
      'source_sha256': origin.sha256,
      'part': origin.part,
      'spelling': origin.spelling,
      'model': config.name,
      'tensors': origin.loaded,
    },
  )
  return origin


def _shapes(config: Fields, num_classes: int) -> types.Variables:
  build = models.MODELS[config.name]
  network = build(Fields(config, weights=''), num_classes)
  return jax.eval_shape(lambda: network.init(jax.random.key(0), _IMAGE_SIZE))
