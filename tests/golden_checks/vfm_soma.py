"""SoMA on a whole encoder: its start, its features, and what trains.

Every check yields (name, ours, golden, atol, rtol); sizes are read from the
file. SoMA ran in float32, which is the tolerance in both precisions.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import transformers
from tests.golden_checks import vfm_networks
from uda_jax.models import adapters
from uda_jax.models.weights import key_maps

Tensors = transformers.Tensors
# Layers of the reference that are one of ours: name -> place in it.
JOINED = {'q': 0, 'k': 1, 'v': 2}
# The README's.
HEADS = 2
# Names of the reference's arrays of a layer -> ours.
LEAVES = {'lora_A.weight': adapters.A, 'lora_B.weight': adapters.B}


def soma_model(path: pathlib.Path) -> Iterator[common.Difference]:
  """Adapters of the last blocks of a DINOv2 with patches of 16 pixels."""
  d = common.load(path)
  sd = transformers.prefixed(d, 'sd:')
  tensors = key_maps.canonical(sd)
  yield 'spelling', tensors.spelling == 'dinov2_soma', True, *common.EXACT
  # The spelling leaves the token out, which no forward pass needs.
  tensors = tensors.tensors | {'mask_token': sd['mask_token']}
  count = sum(name.startswith('feature') for name in d)
  module = vfm_networks.encoder(
    tensors,
    heads=HEADS,
    patch=sd['patch_embed.proj.weight'].shape[-1],
    final_norm=False,
    num_features=int(d['depth']),
  )
  image = jnp.asarray(d['image'])
  variables = transformers.module_variables(module, tensors, image)
  numbers = '|'.join(map(str, range(int(d['start_block']), int(d['depth']))))
  rule = adapters.Rule(
    'soma',
    int(d['rank']),
    float(d['rank']),
    (f'/blocks/({numbers})/.*/(qkv|proj|fc1|fc2)/kernel$',),
  )
  params = adapters.adapt(
    rule, {adapters.ENCODER: variables['params']}, jax.random.key(0)
  )
  merged = adapters.merged(params, rule.scale)[adapters.ENCODER]
  features = jax.jit(module.apply)({'params': merged}, image)
  for i, ours in enumerate(features[-count:]):
    yield f'feature{i}', ours, d[f'feature{i}'], 1e-5, 1e-4
  for name, golden in transformers.prefixed(d, 'BA:').items():
    layer, part = _layer(params, name)
    ours = rule.scale * (layer[adapters.B][part] @ layer[adapters.A][part])
    yield f'BA:{name}', ours, golden, 1e-5, 1e-4
  for name, golden in transformers.prefixed(d, 'residual:').items():
    layer, part = _layer(params, name)
    ours = _weight(layer, name, part)
    yield f'residual:{name}', ours, golden, 1e-5, 1e-4
  yield from _trainable(d, rule, params)


def _layer(params, name: str) -> tuple[dict, int]:
  """Our layer of a layer of the reference, and its place in it."""
  *path, last = name.split('.')
  node = params[adapters.ENCODER]
  for key in (*path, 'qkv' if last in JOINED else last):
    node = node[key]
  return node, JOINED.get(last, 0)


def _weight(layer, name: str, part: int):
  """The kernel of a layer of the reference, as PyTorch has it."""
  kernel = layer['kernel'].T
  if name.split('.')[-1] not in JOINED:
    return kernel
  return kernel.reshape(len(JOINED), -1, kernel.shape[-1])[part]


def _trainable(d: Tensors, rule, params) -> Iterator[common.Difference]:
  """Which of the reference's arrays train, and the adapters' shapes."""
  trains = adapters.trained(rule, params)
  flags, shapes = [], []
  for name in map(str, d['names']):
    found = re.fullmatch(r'(blocks\..*\.(?:q|k|v|proj|fc1|fc2))\.(.+)', name)
    if not found:
      flags.append(
        name == 'mask_token' and bool(trains[adapters.ENCODER]['mask_token'])
      )
      continue
    layer, part = _layer(params, found[1])
    leaf = {'weight': 'kernel', **LEAVES}.get(found[2], found[2])
    flags.append(bool(_layer(trains, found[1])[0].get(leaf, False)))
    if found[2] in LEAVES and leaf in layer:
      shapes.append((name, str(tuple(layer[leaf][part].shape))))
  yield 'trainable', flags, d['trainable'], *common.EXACT
  golden = dict(zip(map(str, d['names']), map(str, d['shapes'])))
  names = [name for name in golden if name.endswith(tuple(LEAVES))]
  yield (
    'shapes',
    np.array(sorted(shapes)),
    np.array(sorted((name, golden[name]) for name in names)),
    *common.EXACT,
  )


CHECKS = {'vfm/soma_model*.npz': soma_model}
