"""MiT, stochastic depth, DAFormer's head and its optimiser's groups.

Every check yields (name, ours, golden, atol, rtol); sizes and widths are read
from the files. Precision is that of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tests.golden_checks import common
from uda_jax import types
from uda_jax.configs.blocks import common as common_configs
from uda_jax.models import blocks
from uda_jax.models import daformer_head
from uda_jax.models import encoder_decoder
from uda_jax.models import mix_transformer
from uda_jax.models.weights import state_dict
from uda_jax.train import patterns

Tensors = dict[str, np.ndarray]


def prefixed(arrays: Tensors, prefix: str) -> Tensors:
  """The arrays under a prefix, without it."""
  return {
    k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
  }


def mit(
  tensors: Tensors, *, heads=None, drop_path: float = 0.0
) -> mix_transformer.MixTransformer:
  """A MiT of the widths and depths of a state dict.

  Without `heads` each has the first stage's width, as in all MiT.
  """
  stages = range(1, 5)
  reductions = [
    tensors.get(f'block{s}.0.attn.sr.weight', np.ones(1)).shape[-1]
    for s in stages
  ]
  shapes = [tensors[f'block{s}.0.mlp.fc1.weight'].shape for s in stages]
  widths = [width for _, width in shapes]
  if heads is None:
    heads = [width // widths[0] for width in widths]
  depths = [
    sum(
      bool(re.fullmatch(rf'block{s}\.\d+\.norm1\.weight', name))
      for name in tensors
    )
    for s in stages
  ]
  return mix_transformer.MixTransformer(
    widths=tuple(widths),
    depths=tuple(depths),
    heads=tuple(map(int, heads)),
    reductions=tuple(reductions),
    ratios=tuple(hidden // width for hidden, width in shapes),
    drop_path=drop_path,
    dtype=jnp.result_type(float),
  )


def daformer(tensors: Tensors) -> daformer_head.DAFormerHead:
  """DAFormer's head in the widths of a state dict, without dropout."""
  num_classes, width = tensors['conv_seg.weight'].shape[:2]
  return daformer_head.DAFormerHead(
    num_classes, width, dropout=0.0, dtype=jnp.result_type(float)
  )


def module_variables(module: nn.Module, tensors: Tensors, *args, **kwargs):
  """A module's variables from a state dict."""
  shapes = jax.eval_shape(
    lambda key: module.init(key, *args, **kwargs), jax.random.key(0)
  )
  variables, _ = state_dict.load(
    tensors, types.Variables(shapes['params'], shapes.get('batch_stats', {}))
  )
  return {'params': variables.params, 'batch_stats': variables.batch_stats}


def encoder(path: pathlib.Path) -> Iterator[common.Difference]:
  """The maps of all stages, and what the first block is made of."""
  d = common.load(path)
  tensors = prefixed(d, 'sd:')
  module = mit(tensors, heads=d['num_heads'])
  image = jnp.asarray(d['img'])
  loaded = module_variables(module, tensors, image)
  for i, x in enumerate(jax.jit(module.apply)(loaded, image)):
    golden = d[f'out{i + 1}']
    yield f'out{i + 1}', x, golden, *common.tolerance()
  for name, x in _first_block(module, loaded['params'], image).items():
    golden = d[f'inter_{name}']
    yield f'inter_{name}', x.reshape(golden.shape), golden, *common.tolerance()


def _first_block(module, params, image) -> dict[str, jax.Array]:
  embedding = mix_transformer.PatchEmbedding(
    module.widths[0], 7, 4, module.dtype
  )
  x = embedding.apply({'params': params['patch_embed1']}, image)
  block = mix_transformer.Block(
    module.heads[0], module.reductions[0], module.ratios[0], dtype=module.dtype
  )
  y, taps = block.apply(
    {'params': params['block1']['0']},
    x,
    capture_intermediates=lambda m, _: m.name in ('attn', 'mlp'),
  )
  taps = {k: v['__call__'][0] for k, v in taps['intermediates'].items()}
  return {'pe1': x, 'blk1': y, 'attn1': taps['attn'], 'mlp1': taps['mlp']}


def drop_path(path: pathlib.Path) -> Iterator[common.Difference]:
  """Stochastic depth with recorded draws, and the rates of MiT-B5."""
  d = common.load(path)
  for case, draw in common.cases(d, '.', 'u'):
    ours = blocks.drop_path(draw['x'], draw['u'], rate=draw['p'])
    yield f'{case}.y', ours, draw['y'], *common.tolerance()
  rates = blocks.drop_path_rates(0.1, mix_transformer.VARIANTS['mit_b5'].depths)
  yield (
    'linspace_b5',
    np.concatenate(rates),
    d['linspace_b5'],
    *common.tolerance(),
  )


def head(path: pathlib.Path) -> Iterator[common.Difference]:
  """The head with running and with batch statistics."""
  d = common.load(path)
  tensors = prefixed(d, 'sd:')
  module = daformer(tensors)
  features = [jnp.asarray(d[f'feat{i}']) for i in range(1, 5)]
  loaded = module_variables(module, tensors, features, use_running_average=True)

  @jax.jit
  def evaluate(loaded, features):
    return module.apply(loaded, features, use_running_average=True)

  @jax.jit
  def train(loaded, features):
    return module.apply(
      loaded, features, use_running_average=False, mutable=['batch_stats']
    )

  logits, fused = evaluate(loaded, features)
  yield 'logits_eval', logits, d['logits_eval'], *common.tolerance()
  yield 'fused_eval', fused, d['fused_eval'], *common.tolerance()
  (logits, _), updated = train(loaded, features)
  yield 'logits_train', logits, d['logits_train'], *common.tolerance()
  ours = state_dict.export(types.Variables({}, updated['batch_stats']))
  for name, golden in prefixed(d, 'after:').items():
    if not name.endswith(state_dict.COUNTER):
      yield f'after:{name}', ours[name], golden, *common.tolerance()


def param_groups(path: pathlib.Path) -> Iterator[common.Difference]:
  """Names, shapes, learning rates and decays of all parameters."""
  d = dict(np.load(path))
  golden = {
    name.removeprefix('model.'): np.zeros(shape[: np.count_nonzero(shape)])
    for name, shape in zip(d['name'], d['shape'])
  }
  variables = _shapes(golden)
  optimiser = common_configs.daformer_adamw()
  rows = optimiser.groups
  ours = {
    'lr': factors(
      variables.params,
      [row[:2] for row in rows],
      common_configs.daformer_schedule().learning_rate,
    ),
    'weight_decay': factors(
      variables.params, [row[::2] for row in rows], optimiser.weight_decay
    ),
  }
  yield 'name', sorted(ours['lr']), sorted(golden), *common.EXACT
  shapes = [ours['lr'][name].shape for name in golden]
  yield (
    'shape',
    [(*s, *[0] * (4 - len(s))) for s in shapes],
    d['shape'],
    *common.EXACT,
  )
  for column, tensors in ours.items():
    # All entries of a tensor are equal.
    values = [tensors[name].flat[0] for name in golden]
    yield column, values, d[column], 0.0, 1e-12
  buffers = factors(variables.batch_stats, (), 1.0, kind='batch_stats')
  yield (
    'buffers',
    sorted(f'model.{name}' for name in buffers),
    sorted(n for n in d['buffers'] if not n.endswith(state_dict.COUNTER)),
    *common.EXACT,
  )


def _shapes(tensors: Tensors) -> types.Variables:
  """The shapes of the network that a state dict belongs to."""
  module = encoder_decoder.EncoderDecoder(
    mit(prefixed(tensors, 'backbone.'), heads=(1,) * 4),
    daformer(prefixed(tensors, 'decode_head.')),
  )
  shapes = jax.eval_shape(
    lambda key: module.init(
      key, jnp.zeros((1, 64, 64, 3)), use_running_average=True
    ),
    jax.random.key(0),
  )
  return types.Variables(shapes['params'], shapes['batch_stats'])


def factors(tree, rows, base: float, *, kind: str = 'params') -> Tensors:
  """Returns the factors of the optimizer's table, by PyTorch's names."""
  values = jax.tree.map(
    lambda x, factor: np.broadcast_to(base * factor, x.shape),
    tree,
    patterns.match(tree, tuple(rows), 1.0),
  )
  return state_dict.export(
    types.Variables(**{'params': {}, 'batch_stats': {}, kind: values})
  )


CHECKS = {
  'daformer_hrda/mit*.npz': encoder,
  'daformer_hrda/drop_path*.npz': drop_path,
  'daformer_hrda/daformer_head*.npz': head,
  'daformer_hrda/param_groups*.npz': param_groups,
}
