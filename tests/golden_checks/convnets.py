"""FCN-8s, DeepLab's head in mmseg, and which parameters train how.

Every check yields (name, ours, golden, atol, rtol); sizes and widths are read
from the files. Precision is that of the process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
import pathlib
import re

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tests.golden_checks import common
from tests.golden_checks import transformers
from uda_jax import labels
from uda_jax import models
from uda_jax import types
from uda_jax.configs.blocks import convnets
from uda_jax.models import deeplab_v2
from uda_jax.models import dlv2_head as dlv2_head_lib
from uda_jax.models import fcn8s_vgg
from uda_jax.models.weights import state_dict
from uda_jax.train import patterns

Tensors = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]


def to_torch(tensors: Tensors) -> Tensors:
  """LSE's kernels [kh, kw, in, out] in PyTorch's layouts."""
  axes = lambda name: (2, 3, 0, 1) if 'upscore' in name else (3, 2, 0, 1)
  return {
    name: x.transpose(axes(name)) if x.ndim == 4 else x
    for name, x in tensors.items()
  }


def fcn8s(tensors: Tensors) -> tuple[fcn8s_vgg.FCN8sVGG, types.PyTree]:
  """An FCN-8s of the widths of a state dict, with its weights."""
  width = lambda name: len(tensors[f'{name}.bias'])
  module = fcn8s_vgg.FCN8sVGG(
    num_classes=width('score_fr'),
    fc_width=width('fc6'),
    dropout=0.0,
    widths=[width(f'conv{i}_1') for i in range(1, 6)],
    dtype=jnp.result_type(float),
  )
  loaded = transformers.module_variables(
    module, tensors, jnp.zeros((1, 8, 8, 3)), use_running_average=True
  )
  return module, loaded['params']


def lse_fcn8s(path: pathlib.Path) -> Iterator[common.Difference]:
  """FCN-8s: logits, and the maps on the way to them."""
  d = common.load(path)
  module, params = fcn8s(to_torch(transformers.prefixed(d, 'w/')))

  @jax.jit
  def forward(params, image):
    return module.apply(
      {'params': params},
      image,
      use_running_average=True,
      capture_intermediates=lambda m, _: m.name and 'score' in m.name,
    )

  for i in range(sum(bool(re.fullmatch(r'x\d+', k)) for k in d)):
    outputs, taps = forward(params, jnp.asarray(d[f'x{i}']))
    taps = {k: v['__call__'][0] for k, v in taps['intermediates'].items()}
    for name, ours in {'logits': outputs.logits, **taps}.items():
      for key in (f'{name}{i}', f'{name}_{i}'):
        if key in d:
          yield key, ours, d[key], 1e-4 * np.max(np.abs(d[key])), 0.0
      if f'shape_{name}_{i}' in d:
        yield (
          f'shape_{name}_{i}',
          ours.shape,
          d[f'shape_{name}_{i}'],
          *common.EXACT,
        )


def bilinear_kernels(path: pathlib.Path) -> Iterator[common.Difference]:
  """Kernels of some sizes, and those that FCN-8s starts with."""
  d = common.load(path)
  for key, golden in d.items():
    size, _, channels, _ = golden.shape
    ours = fcn8s_vgg.bilinear_kernel(size, channels)
    if key.startswith('init/'):
      name = key.removeprefix('init/')
      ours = fcn8s_vgg.initial_kernel((name,), jnp.zeros(golden.shape))
    yield key, ours, golden, 1e-7, 0.0


def _trained(config, num_classes: int, optimiser) -> tuple[Tensors, Tensors]:
  """Returns an optimizer's treatment of a network's tensors, and the buffers.

  Returns:
    For each parameter, by PyTorch's name, an array of its shape filled with
    100 * learning-rate factor + updates a step, 0 if it is frozen; and the
    running statistics.
  """
  network = models.build(
    ml_collections.ConfigDict({'model': config}), num_classes
  )
  variables = jax.eval_shape(
    lambda key: network.init(key, (64, 64)), jax.random.key(0)
  )
  rows = optimiser.groups
  code = jax.tree.map(
    lambda frozen, factor, updates: 0 if frozen else 100 * factor + updates,
    patterns.match(
      variables.params, tuple((p, True) for p in optimiser.frozen), False
    ),
    patterns.match(variables.params, tuple(row[:2] for row in rows), 1.0),
    patterns.match(variables.params, optimiser.get('repeats', ()), 1),
  )
  fill = lambda x, value: np.broadcast_to(np.int16(value), x.shape)
  return (
    state_dict.export(
      types.Variables(jax.tree.map(fill, variables.params, code), {})
    ),
    state_dict.export(
      types.Variables(
        {}, jax.tree.map(lambda x: fill(x, 0), variables.batch_stats)
      )
    ),
  )


def _compare(
  shapes: Shapes,
  factors: dict[str, int],
  updates: dict[str, int],
  ours: Tensors,
) -> Iterator[common.Difference]:
  """Compares names, shapes, factors and updates of the parameters."""
  yield 'names', sorted(ours), sorted(shapes), *common.EXACT
  for name, x in ours.items():
    yield f'{name}: shape', x.shape, shapes[name], *common.EXACT
    factor, update = divmod(int(x.flat[0]), 100)
    yield f'{name}: factor', factor, factors[name], *common.EXACT
    yield f'{name}: updates', update, updates[name], *common.EXACT


def _deeplab(shapes: Shapes) -> tuple[ml_collections.ConfigDict, int]:
  """The config of a DeepLab with these shapes, and its classes."""
  stages = [f'layer{i}' for i in range(1, 5)]
  blocks = [
    sum(
      bool(re.fullmatch(rf'{s}\.\d+\.conv1\.weight', name)) for name in shapes
    )
    for s in stages
  ]
  config = convnets.deeplab_v2(
    aux_head=any(name.startswith('layer6.') for name in shapes)
  )
  config.update(
    stem=shapes['conv1.weight'][0],
    blocks=tuple(blocks),
    planes=tuple(shapes[f'{s}.0.conv1.weight'][0] for s in stages),
  )
  return config, shapes['layer5.conv2d_list.0.bias'][0]


def _vgg(shapes: Shapes) -> tuple[ml_collections.ConfigDict, int]:
  """The config of an FCN-8s with these shapes, and its classes."""
  config = convnets.fcn8s_vgg()
  config.update(
    widths=tuple(shapes[f'conv{i}_1.bias'][0] for i in range(1, 6)),
    fc_width=shapes['fc6.bias'][0],
  )
  return config, shapes['score_fr.bias'][0]


def lse_param_table(path: pathlib.Path) -> Iterator[common.Difference]:
  """All tensors of LSE's two networks, and how each trains."""
  d = dict(np.load(path))
  kinds = {
    'vgg': (_vgg, convnets.lse_adam()),
    'deeplab': (_deeplab, convnets.lse_sgd(repeats=convnets.DEEPLAB_REPEATS)),
  }
  for prefix, (config_of, optimiser) in kinds.items():
    table = transformers.prefixed(d, f'{prefix}_')
    rows = {name: i for i, name in enumerate(table['names'].tolist())}
    shapes = {
      name: tuple(int(n) for n in table['shapes'][i] if n)
      for name, i in rows.items()
    }
    ours, stats = _trained(*config_of(shapes), optimiser)
    params = {name for name, i in rows.items() if table['kind'][i]}
    yield from _compare(
      {n: shapes[n] for n in params},
      dict(zip(rows, table['lr_mult'])),
      dict(zip(rows, table['list_multiplicity'])),
      ours,
    )
    yield (
      f'{prefix}: buffers',
      sorted(stats),
      sorted(
        n
        for n in rows
        if n not in params and not n.endswith(state_dict.COUNTER)
      ),
      *common.EXACT,
    )


def pixmatch_param_table(path: pathlib.Path) -> Iterator[common.Difference]:
  """All tensors of PixMatch's network, and how each parameter trains."""
  d = dict(np.load(path))
  names = d['names'].tolist()
  shapes = dict(zip(names, map(ast.literal_eval, d['shapes'].tolist())))
  ours, stats = _trained(
    *_deeplab(shapes), convnets.pixmatch_sgd(repeats=convnets.DEEPLAB_REPEATS)
  )
  yield from _compare(
    shapes,
    dict(zip(names, d['lr_mult'])),
    dict(zip(names, d['multiplicity'])),
    ours,
  )
  yield (
    'state_keys',
    sorted([*ours, *stats]),
    sorted(
      name
      for name in d['state_keys'].tolist()
      if not name.endswith(state_dict.COUNTER)
    ),
    *common.EXACT,
  )


def checkpoint_19to16(path: pathlib.Path) -> Iterator[common.Difference]:
  """The classifiers of 16 classes out of a file of 19.

  What the file does not have keeps its value there; here that is an error, so
  the one such tensor is not compared.
  """
  d = common.load(path)
  given, golden = (transformers.prefixed(d, x) for x in ('in/', 'out/'))
  ours, _ = deeplab_v2.choose(given, class_rows=labels.SUBSET_16)
  for name in given:
    name = name.removeprefix('module.')
    yield name, ours[name], golden[name], *common.EXACT


def dlv2_head(path: pathlib.Path) -> Iterator[common.Difference]:
  """DeepLab-v2's head in mmseg, with the branches of each case."""
  d = common.load(path)
  for case, arrays in common.cases(d, '.', 'logits'):
    module = dlv2_head_lib.DLV2Head(
      arrays['logits'].shape[-1],
      tuple(map(int, arrays['dilations'])),
      jnp.result_type(float),
    )
    features = (jnp.asarray(arrays['x']),)
    loaded = transformers.module_variables(
      module,
      transformers.prefixed(arrays, 'sd:'),
      features,
      use_running_average=True,
    )
    ours, _ = module.apply(loaded, features, use_running_average=True)
    yield f'{case}.logits', ours, arrays['logits'], *common.tolerance()


CHECKS = {
  'daformer_hrda/dlv2_head*.npz': dlv2_head,
  'lse/fcn8s_*.npz': lse_fcn8s,
  'lse/bilinear_kernels*.npz': bilinear_kernels,
  'lse/param_table*.npz': lse_param_table,
  'pixmatch/param_table*.npz': pixmatch_param_table,
  'ehtdi/checkpoint_19to16*.npz': checkpoint_19to16,
}
