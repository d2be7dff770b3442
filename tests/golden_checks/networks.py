"""The networks against features, losses and gradients of released code.

Every check yields (name, ours, golden, atol, rtol); sizes and widths are read
from the files. Precision is that of the process: float64 under
`jax.enable_x64`, else float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import pathlib
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import types
from uda_jax.losses import segmentation
from uda_jax.models import deeplab_v2
from uda_jax.models import efficientnet_lite
from uda_jax.models import layers
from uda_jax.models import lite_weights
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models import weights
from uda_jax.models.weights import state_dict

# The READMEs' tolerance for all tiny DeepLabs.
ATOL = 1e-4
# Recorded images are network inputs already.
IDENTITY = preprocessing.Preprocessing((0.0,) * 3)


def dtype():
  """The float dtype of this process."""
  return jnp.result_type(float)


def deeplab(
  tensors: dict[str, np.ndarray],
) -> tuple[types.Network, types.Variables]:
  """A DeepLab of the widths of a state dict, with its weights."""
  tensors, _ = deeplab_v2.choose(tensors)
  heads = [name for name in ('layer5', 'layer6') if _has(tensors, name)]
  stages = [f'layer{i}' for i in range(1, 5)]
  module = deeplab_v2.DeepLabV2(
    num_classes=len(tensors[f'{heads[0]}.conv2d_list.0.bias']),
    stem=len(tensors['conv1.weight']),
    planes=[len(tensors[f'{s}.0.conv1.weight']) for s in stages],
    blocks=[_num_blocks(tensors, s) for s in stages],
    aux_head=len(heads) == 2,
    dtype=dtype(),
  )
  network = network_lib.from_module(module, IDENTITY)
  shapes = jax.eval_shape(
    lambda key: network.init(key, (33, 33)), jax.random.key(0)
  )
  variables, _ = state_dict.load(tensors, shapes)
  return network, variables


def _num_blocks(tensors: dict[str, np.ndarray], stage: str) -> int:
  pattern = re.compile(rf'{stage}\.\d+\.conv1\.weight')
  return sum(bool(pattern.fullmatch(name)) for name in tensors)


def _has(tensors: dict[str, np.ndarray], module: str) -> bool:
  return any(name.startswith(module + '.') for name in tensors)


def architecture(path: pathlib.Path) -> dict[str, np.ndarray]:
  """The tensors of a weight file, without its record of the widths."""
  arrays = dict(np.load(path))
  return {
    k: v
    for k, v in arrays.items()
    if k not in ('layers', 'num_classes', 'planes')
  }


def deeplab_eval(path: pathlib.Path) -> Iterator[common.Difference]:
  """DeepLab with running statistics."""
  arrays = dict(np.load(path))
  network, variables = deeplab(
    architecture(path.parent / 'deeplab_tiny_weights.npz')
  )
  outputs, _ = jax.jit(network.forward, static_argnames='use_running_average')(
    *variables, jnp.asarray(arrays['x'], dtype()), use_running_average=True
  )
  yield from _deeplab_maps(outputs, arrays)


def _deeplab_maps(
  outputs: types.Outputs, arrays: dict[str, np.ndarray]
) -> Iterator[common.Difference]:
  ours = {f'tap_layer{i + 1}': x for i, x in enumerate(outputs.features)}
  ours |= {
    'feat': outputs.features[-1],
    'tap_layer6': outputs.maps['low_logits'],
    'low_main': outputs.maps['low_logits'],
    'main': outputs.logits,
    'aux': outputs.aux_logits,
  }
  for name in sorted(ours.keys() & arrays.keys()):
    yield name, ours[name], arrays[name], ATOL, ATOL


def deeplab_train(path: pathlib.Path) -> Iterator[common.Difference]:
  """DeepLab with batch statistics: maps, losses, gradients, statistics."""
  arrays = dict(np.load(path))
  network, variables = deeplab(
    architecture(path.parent / 'deeplab_tiny_weights.npz')
  )
  label = common.to_255(arrays['y'])

  def loss(params):
    outputs, stats = network.forward(
      params, variables.batch_stats, jnp.asarray(arrays['x'], dtype())
    )
    main, aux = (
      segmentation.cross_entropy(x, label, average='valid')
      for x in (outputs.logits, outputs.aux_logits)
    )
    total = main + 0.1 * aux
    return total, (outputs, stats, main, aux)

  (total, (outputs, stats, main, aux)), grads = jax.jit(
    jax.value_and_grad(loss, has_aux=True)
  )(variables.params)
  yield from _deeplab_maps(outputs, arrays)
  yield 'train_loss', total, arrays['train_loss'], ATOL, ATOL
  yield 'ce_main', main, arrays['ce_main'], ATOL, ATOL
  yield 'ce_aux', aux, arrays['ce_aux'], ATOL, ATOL
  yield from _prefixed('after_train', types.Variables({}, stats), arrays)
  yield from _prefixed('grad', types.Variables(grads, {}), arrays)
  ours = state_dict.export(types.Variables(grads, {}))
  for name in arrays['no_grad']:
    # The stem's batch norm is kept fixed by the optimiser, not the network.
    if not name.startswith('bn1.'):
      yield f'no_grad/{name}', ours[name], np.zeros_like(ours[name]), 0.0, 0.0


def _prefixed(
  prefix: str, variables: types.Variables, arrays: dict[str, np.ndarray]
) -> Iterator[common.Difference]:
  ours = state_dict.export(variables)
  for key, value in arrays.items():
    if key.startswith(prefix + '/') and not key.endswith(state_dict.COUNTER):
      yield key, ours[key.removeprefix(prefix + '/')], value, ATOL, ATOL


def lse_deeplab(path: pathlib.Path) -> Iterator[common.Difference]:
  """The one-headed DeepLab of LSE; kernels are HWIO in this file."""
  arrays = dict(np.load(path))
  network, variables = deeplab(
    {
      k.removeprefix('w/'): v.transpose(3, 2, 0, 1) if v.ndim == 4 else v
      for k, v in arrays.items()
      if k.startswith('w/')
    }
  )
  forward = jax.jit(network.forward, static_argnames='use_running_average')
  for i in range(sum(bool(re.fullmatch(r'x\d+', k)) for k in arrays)):
    image = jnp.asarray(arrays[f'x{i}'], dtype())
    outputs, _ = forward(*variables, image, use_running_average=True)
    low = outputs.maps['low_logits']
    yield f'logits_low{i}', low, arrays[f'logits_low{i}'], ATOL, ATOL
    full = outputs.logits
    yield f'logits_full{i}', full, arrays[f'logits_full{i}'], ATOL, ATOL
    if f'train_logits_low{i}' in arrays:
      outputs, stats = forward(*variables, image)
      key = f'train_logits_low{i}'
      yield key, outputs.maps['low_logits'], arrays[key], ATOL, ATOL
      yield from _prefixed('after', types.Variables({}, stats), arrays)


class ImageNetLite(nn.Module):
  """An EfficientNet-Lite with its ImageNet classifier."""

  blocks: Sequence[efficientnet_lite.Block]

  @nn.compact
  def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
    names = ('s2', 's4', 's8', 's16', 's32')
    features = efficientnet_lite.EfficientNetLite(
      blocks=self.blocks, dtype=dtype(), name='encoder'
    )(image, use_running_average=True)
    x = layers.Conv(1280, 1, dtype=dtype(), name='conv_head')(features[-1])
    x = layers.BatchNorm(eps=efficientnet_lite.EPS, dtype=dtype(), name='bn1')(
      x, use_running_average=True
    )
    x = jnp.mean(efficientnet_lite.relu6(x), (1, 2))
    logits = nn.Dense(1000, param_dtype=dtype(), name='fc')(x)
    return dict(zip(names, features)) | {'logits': logits}


def efficientnet(path: pathlib.Path) -> Iterator[common.Difference]:
  """The installed ImageNet weights: features of all stages, and classes."""
  arrays = dict(np.load(path))
  image = preprocessing.CENTRED.normalize(jnp.asarray(arrays['image']))
  name = path.parent.name
  module = ImageNetLite(efficientnet_lite.VARIANTS[name])
  shapes = jax.eval_shape(module.init, jax.random.key(0), image)

  def name_of(module_path: tuple[str, ...]) -> str:
    inner = module_path[1:] if module_path[0] == 'encoder' else module_path
    return lite_weights.torch_name(inner)

  loaded, _ = state_dict.load(
    weights.read(lite_weights.package_file(name)),
    types.Variables(shapes['params'], shapes['batch_stats']),
    name_of,
  )
  variables = loaded._asdict()
  for key, ours in jax.jit(module.apply)(variables, image).items():
    yield key, ours, arrays[key], 2e-4, 1e-4


CHECKS = {
  'pixmatch/deeplab_tiny_eval*.npz': deeplab_eval,
  'pixmatch/deeplab_tiny_train*.npz': deeplab_train,
  'ehtdi/deeplab_tiny_eval*.npz': deeplab_eval,
  'lse/deeplab_tiny*.npz': lse_deeplab,
  'efficientnet_lite?/features*.npz': efficientnet,
}
