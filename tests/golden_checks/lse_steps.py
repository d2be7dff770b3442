"""Whole training steps of LSE's code, through the method and the train step.

Every check yields (name, ours, golden, atol, rtol); widths, sizes and constants
are read from the files. Changes of the weights are compared, not the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tests import tiny
from tests.golden_checks import common
from tests.golden_checks import convnets
from tests.golden_checks import networks
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import common as config_blocks
from uda_jax.configs.blocks import convnets as blocks
from uda_jax.methods import lse
from uda_jax.models import network as network_lib
from uda_jax.models.weights import state_dict
from uda_jax.train import optim
from uda_jax.train import patterns
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib

Tensors = dict[str, np.ndarray]


def _tensors(arrays: Tensors, prefix: str) -> Tensors:
  """The tensors of a prefix, in PyTorch's layouts."""
  return convnets.to_torch(
    {
      k.removeprefix(prefix): v
      for k, v in arrays.items()
      if k.startswith(prefix)
    }
  )


def _method(arrays: Tensors, focal_of: str) -> types.Method:
  return lse.make(
    ml_collections.ConfigDict(
      dict(
        weight_focal=float(arrays['beta']),
        gamma=float(arrays['gamma']),
        focal_of=focal_of,
        freeze_statistics=False,
        class_weights=(),
        adapt_from=0,
      )
    )
  )


def _recipe(method, network, params, optimiser, schedule) -> recipe_lib.Recipe:
  return recipe_lib.Recipe(
    method=method,
    network=network,
    optimizer=optim.make(optimiser, params),
    learning_rate=lambda state: optim.learning_rate(schedule, state),
    frozen=lambda params: patterns.match(
      params, tuple((p, True) for p in optimiser.frozen), False
    ),
  )


def _run(
  recipe: recipe_lib.Recipe, variables: types.Variables, arrays: Tensors
) -> tuple[list[dict[str, jax.Array]], Tensors]:
  """All recorded steps: metrics of each, and how the tensors have changed."""
  dtype = jnp.result_type(float)
  mesh = parallel.make_mesh(1)
  train_step = step_lib.make_train_step(recipe, mesh, 1)
  state, metrics = None, []
  num_steps = len(arrays['src_image'])
  for i in range(num_steps):
    batch = types.Batch(
      types.Source(
        arrays['src_image'][i].astype(dtype), arrays['src_label'][i]
      ),
      types.Target(
        arrays['trg_image'][i].astype(dtype), (), arrays['trg_label'][i]
      ),
    )
    batch = jax.tree.map(lambda x: jnp.asarray(x)[None, None], batch)
    if state is None:
      state = tiny.place(
        state_lib.init_state(
          recipe,
          variables,
          jax.random.key(0),
          batch,
          num_steps=int(arrays.get('num_steps', num_steps)),
        ),
        mesh,
      )
    state, values = train_step(state, batch)
    metrics.append(values)
  before, after = (
    state_dict.export(jax.device_get(n)) for n in (variables, state.student)
  )
  return metrics, {name: after[name] - before[name] for name in after}


def _compare(
  metrics, changes: Tensors, arrays: Tensors, golden: Tensors, prefix: str
) -> Iterator[common.Difference]:
  """Losses of every step, change of every tensor."""
  exact = jax.config.jax_enable_x64
  for i, values in enumerate(metrics):
    # Without a weight there is no focal term.
    target = values['loss/target'] + values.get('loss/focal', 0.0)
    for name, ours in (('src', values['loss/source']), ('trg', target)):
      yield (
        f'{prefix}loss_{name}[{i}]',
        ours,
        golden[f'loss_{name}'][i],
        0.0,
        1e-9 if exact else 1e-4,
      )
  start = _tensors(arrays, 'w/')
  for name, end in _tensors(golden, '').items():
    if name not in changes:
      continue
    change = end - start[name].astype(np.float64)
    # Large weights (the maps that they score are scaled down) move by few
    # steps of float32.
    rounding = 4 * float(np.spacing(np.abs(start[name]).max()))
    scale = float(np.abs(change).max())
    yield (
      f'{prefix}{name}',
      changes[name],
      change,
      1e-9 if exact else 1e-3 * scale + rounding,
      0.0,
    )


def train_vgg(path: pathlib.Path) -> Iterator[common.Difference]:
  """Steps of FCN-8s with Adam, without dropout."""
  arrays = dict(np.load(path))
  module, params = convnets.fcn8s(_tensors(common.load(path), 'w/'))
  variables = types.Variables(params, {})
  schedule = config_blocks.schedule(
    'staircase',
    learning_rate=float(arrays['learning_rate']),
    every=50000,
    factor=0.1,
  )
  recipe = _recipe(
    _method(arrays, 'pixel'),
    network_lib.from_module(module, networks.IDENTITY),
    variables.params,
    blocks.lse_adam(),
    schedule,
  )
  golden = {
    k.removeprefix('after/'): v
    for k, v in arrays.items()
    if k.startswith(('after/', 'loss_'))
  }
  yield from _compare(*_run(recipe, variables, arrays), arrays, golden, '')


def _deeplab_optimiser(arrays: Tensors, version: str):
  """Returns the authors' optimizer under a version of PyTorch."""
  repeats = () if version == 'once' else blocks.DEEPLAB_REPEATS
  config = blocks.lse_sgd(repeats=repeats)
  config.momentum = float(arrays['momentum'])
  config.weight_decay = float(arrays['weight_decay'])
  config.fresh_every_repeat = version != 'dup_torch1'
  config.decay_in_place = version == 'dup_torch1'
  return config


def train_deeplab(path: pathlib.Path) -> Iterator[common.Difference]:
  """Steps of DeepLab-v2 with each version of the optimiser."""
  golden = dict(np.load(path))
  arrays = dict(np.load(path.with_name(path.name.replace('_out', '_in'))))
  network, variables = networks.deeplab(
    _tensors(
      {
        k: v.astype(jnp.result_type(float)) if v.dtype.kind == 'f' else v
        for k, v in arrays.items()
      },
      'w/',
    )
  )
  schedule = config_blocks.poly(
    learning_rate=float(arrays['learning_rate']), power=float(arrays['power'])
  )
  for version in sorted(
    k.removesuffix('_loss_src') for k in golden if k.endswith('_loss_src')
  ):
    optimiser = _deeplab_optimiser(arrays, version)
    recipe = _recipe(
      _method(arrays, 'mean'), network, variables.params, optimiser, schedule
    )
    end = {
      k.removeprefix(f'{version}/').removeprefix(f'{version}_'): v
      for k, v in golden.items()
      if k.startswith(version)
    }
    yield from _compare(
      *_run(recipe, variables, arrays), arrays, end, f'{version}: '
    )


CHECKS = {
  'lse/train_vgg*.npz': train_vgg,
  'lse/train_deeplab*.npz': train_deeplab,
}
