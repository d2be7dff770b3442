"""CLUDA's two-scale heads on recorded features, PiPa's projection of pixels.

Every check yields (name, ours, golden, atol, rtol); sizes and widths are read
from the files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import transformers
from uda_jax.losses import hrda as two_scale_losses
from uda_jax.models import daformer_head
from uda_jax.models import extra_heads
from uda_jax.models import hrda
from uda_jax.ops import vectors

# The README's; no file has it.
DETAIL_WEIGHT = 0.1

# The names of CLUDA's files -> modules of the head.
NAMES = (
  (r'embed(\d)/', r'embed_layers/\1/proj/'),
  (r'aspp0/(conv|bn)/', r'fuse_layer/aspp_modules/0/\1/'),
  (r'aspp(\d)/dw/', r'fuse_layer/aspp_modules/\1/depthwise_conv/conv/'),
  (r'aspp(\d)/dw_bn/', r'fuse_layer/aspp_modules/\1/depthwise_conv/bn/'),
  (r'aspp(\d)/pw/', r'fuse_layer/aspp_modules/\1/pointwise_conv/conv/'),
  (r'aspp(\d)/pw_bn/', r'fuse_layer/aspp_modules/\1/pointwise_conv/bn/'),
  (r'bottleneck/', r'fuse_layer/bottleneck/conv/'),
  (r'bottleneck_bn/', r'fuse_layer/bottleneck/bn/'),
  (r'fuse/', r'fuse_layer/conv/'),
  (r'fuse_bn/', r'fuse_layer/bn/'),
  (r'cls/', r'conv_seg/'),
)
HEADS = (
  ('head/', 'head'),
  ('attn/', 'scale_attention'),
  ('wt/', 'feat_weighter'),
)

Tensors = dict[str, np.ndarray]


class Recorded(nn.Module):
  """An encoder that returns what was recorded, call by call."""

  calls: Any

  def __call__(
    self, image: jax.Array, *, use_running_average: bool, deterministic: bool
  ) -> tuple[jax.Array, ...]:
    del image, use_running_average, deterministic
    return next(self.calls)


def _variables(arrays: Tensors) -> dict[str, Any]:
  """A head's variables; the files have our layouts."""
  trees = {'params': {}, 'batch_stats': {}}
  for name, value in arrays.items():
    for pattern, module in NAMES:
      path = re.sub('^' + pattern, module, name)
      if path != name:
        kind = 'batch_stats' if path.endswith(('/mean', '/var')) else 'params'
        trees[kind][path] = jnp.asarray(value)
  return {
    kind: flax.traverse_util.unflatten_dict(tree, '/')
    for kind, tree in trees.items()
  }


def _head(arrays: Tensors, fusion: str) -> daformer_head.DAFormerHead:
  """A head of the widths of its arrays, without dropout."""
  width, channels = arrays['cls/kernel'].shape[2:]
  return daformer_head.DAFormerHead(
    channels,
    width,
    fusion,
    dropout=0.0,
    dtype=jnp.result_type(float),
    embed_width=len(arrays['embed0/bias']),
    dilations=tuple(map(int, arrays.get('dilations', ()))),
  )


def _features(arrays: Tensors, prefix: str) -> tuple[jax.Array, ...]:
  names = sorted(k for k in arrays if re.fullmatch(rf'{prefix}\d', k))
  return tuple(jnp.asarray(arrays[name]) for name in names)


def _tolerance(golden: np.ndarray) -> tuple[float, float]:
  """The README's, relative to the largest value."""
  largest = float(np.max(np.abs(golden), initial=0.0))
  return common.tolerance()[0] * largest, 1e-5


def fused_features(path: pathlib.Path) -> Iterator[common.Difference]:
  """The map that the classifier sees, with both kinds of statistics."""
  d = common.load(path)
  module, variables = _head(d, 'sepaspp'), _variables(d)
  features = _features(d, 'level')

  @jax.jit
  def run(variables, features):
    evaluated = module.apply(variables, features, use_running_average=True)
    trained, _ = module.apply(
      variables,
      features,
      use_running_average=False,
      mutable=['batch_stats'],
    )
    return {'eval': evaluated, 'train': trained}

  for kind, (logits, fused) in run(variables, features).items():
    ours = {'logits': logits, 'fused': fused}
    for name, x in ours.items():
      key = f'{name}_{kind}'
      yield key, x, d[key], *_tolerance(d[key])
    key = f'fused_{kind}_l2norm'
    if key in d:
      ours = vectors.unit_vectors(fused)
      yield key, ours, d[key], *_tolerance(d[key])


def two_scales(path: pathlib.Path) -> Iterator[common.Difference]:
  """CLUDA's fusion, maps, weight and losses from recorded features."""
  d = common.load(path)
  dilations = {'dilations': d['dilations']}
  parts = {key: transformers.prefixed(d, prefix) for prefix, key in HEADS}
  heads = {
    key: _head(x | dilations, 'sepaspp' if key == 'head' else 'conv1')
    for key, x in parts.items()
  }
  loaded = {key: _variables(x) for key, x in parts.items()}
  variables = {
    kind: {'decode_head': {k: v[kind] for k, v in loaded.items()}}
    for kind in ('params', 'batch_stats')
  }
  boxes = jnp.asarray(d['boxes'])
  size = int(boxes[0, 1] - boxes[0, 0]), int(boxes[0, 3] - boxes[0, 2])
  image = jnp.zeros((len(boxes), *map(int, d['image_size']), 3))

  @jax.jit
  def run(variables, context, detail):
    module = hrda.HRDA(
      Recorded(iter([context, detail])),
      hrda.TwoScaleHead(**heads),
      detail_crop=size,
      detail_stride=size,
      order='up_then_product',
    )
    outputs, _ = module.apply(
      variables,
      image,
      use_running_average=not d['bn_batch_stats'],
      detail=boxes if d['per_image_boxes'] else boxes[0],
      mutable=['batch_stats'],
    )
    terms = two_scale_losses.two_scale_cross_entropy(
      outputs.logits,
      outputs.maps['detail'],
      outputs.maps['context'],
      d['label'],
      outputs.boxes,
      weight=d['seg_weight'],
      detail_weight=DETAIL_WEIGHT,
    )
    return outputs, {k: x * weight for k, (x, weight) in terms.items()}

  outputs, terms = run(
    variables, _features(d, 'lr_level'), _features(d, 'hr_level')
  )
  maps = outputs.maps
  ours = {
    'fused_seg': outputs.logits,
    'lr_seg': maps['context'],
    'hr_seg': maps['detail'],
    'feat_lr': maps['fused_lr'],
    'feat_hr': maps['fused_hr'],
    'crop_mask': maps['crop_mask'],
    'feat_weight': maps['feature_weight'],
    'loss_fused': terms['fused'],
    'loss_hr': terms['detail'],
  }
  for name, x in ours.items():
    golden = d[f'out_{name}']
    yield f'out_{name}', x, golden, *_tolerance(golden)


def projection(path: pathlib.Path) -> Iterator[common.Difference]:
  """PiPa's embeddings of pixels, with both kinds of statistics."""
  d = common.load(path)
  features = _features(d, 'feat')
  tensors = transformers.prefixed(d, 'sd:')
  module = extra_heads.PixelProjection(len(tensors['proj.2.bias']))
  switches = dict(use_running_average=True, deterministic=True)
  variables = transformers.module_variables(
    module, tensors, features, **switches
  )

  @jax.jit
  def run(variables, features):
    trained, _ = module.apply(
      variables,
      features,
      use_running_average=False,
      deterministic=True,
      mutable=['batch_stats'],
    )
    return {
      'concat': extra_heads.concatenate(features),
      'embed_eval': module.apply(variables, features, **switches),
      'embed_train': trained,
    }

  for name, ours in run(variables, features).items():
    yield name, ours, d[name], *common.tolerance()


CHECKS = {
  'cluda/fused_features*.npz': fused_features,
  'cluda/hrda_head_*.npz': two_scales,
  'pipa/proj_head*.npz': projection,
}
