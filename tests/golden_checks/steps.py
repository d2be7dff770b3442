"""Whole training iterations of the authors' code, through the train step.

The random draws or their results are recorded in the files; they enter through
the operators of the method. Everything else is the code that trains.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from tests import tiny
from tests.golden_checks import common
from tests.golden_checks import networks
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import convnets as blocks
from uda_jax.methods import pixmatch
from uda_jax.models.weights import state_dict
from uda_jax.train import optim
from uda_jax.train import patterns
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import schedules
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib
from uda_jax.train import update_rules


def _parse(text: str) -> dict[str, float]:
  """Reads 'lr=1e-3 flag=False' into numbers."""
  pairs = dict(item.split('=') for item in text.split())
  return {
    k: float(v) if v not in ('True', 'False') else v == 'True'
    for k, v in pairs.items()
  }


def _recorded_operators(arrays) -> pixmatch.Operators:
  """Operators that return what the reference recorded in this iteration."""

  def augment(key, network, source, target):
    del key, network, source, target
    return pixmatch.View(
      arrays['x_aug'], arrays['y_aug_main'], arrays['y_aug_aux']
    )

  def fourier(key, network, source, target):
    del key, network, source
    return target._replace(image=arrays['x_fourier'])

  def cutmix(key, network, source, target):
    del key, network, source, target
    return pixmatch.View(
      arrays['x_cutmix'], arrays['y_cutmix'], arrays['y_cutmix']
    )

  given = {
    'augment': ('x_aug', augment),
    'fourier': ('x_fourier', fourier),
    'cutmix': ('x_cutmix', cutmix),
  }
  return pixmatch.Operators(
    source=lambda key, source, target: arrays.get('x_s_fourier', source),
    perturbations={name: f for name, (k, f) in given.items() if k in arrays},
  )


def _pixmatch_recipe(cfg, network, variables, arrays) -> recipe_lib.Recipe:
  method = ml_collections.ConfigDict(
    dict(
      threshold=cfg['T'],
      class_weights=(),
      weight_aux=cfg['lam_aux'],
      weight_augment=cfg['lam_aug'],
      weight_fourier=cfg['lam_fourier'],
      weight_cutmix=cfg['lam_cutmix'],
      adapt_from=0,
    )
  )
  optimiser = blocks.pixmatch_sgd(repeats=blocks.DEEPLAB_REPEATS)
  optimiser.update(momentum=cfg['momentum'], weight_decay=cfg['weight_decay'])
  return recipe_lib.Recipe(
    method=pixmatch.make(method, _recorded_operators(arrays)),
    network=network,
    optimizer=optim.make(optimiser, variables.params),
    learning_rate=lambda state: schedules.poly(
      state.step,
      base=cfg['lr'],
      num_steps=cfg['iterations'],
      power=cfg['power'],
    ),
    teacher=teacher_lib.Rule(cfg['ema_decay'], ramp=False),
    frozen=lambda params: patterns.match(params, (('^bn1/', True),), False),
  )


def _iteration(arrays: dict, number: int) -> dict[str, np.ndarray]:
  """The arrays of one iteration, labels in our convention."""
  prefix = f'it{number}_'
  mine = {
    k.removeprefix(prefix): np.asarray(v)
    for k, v in arrays.items()
    if k.startswith(prefix)
  }
  return {
    k: (
      common.to_255(v).astype(np.int32)
      if v.dtype.kind == 'i'
      else v.astype(networks.dtype())
    )
    for k, v in mine.items()
  }


def pixmatch_train(path: pathlib.Path) -> Iterator[common.Difference]:
  """Consecutive iterations: losses, weights, statistics and EMA."""
  stem = path.name.rsplit('_', 1)[0]
  inputs = dict(np.load(path.parent / f'{stem}_in.npz'))
  expected = dict(np.load(path.parent / f'{stem}_out.npz'))
  cfg = _parse(str(inputs.pop('cfg')))
  network, variables = networks.deeplab(
    networks.architecture(path.with_name('deeplab_tiny_weights.npz'))
  )
  mesh = parallel.make_mesh(1)

  # The recorded arrays are arguments, so that one program does all iterations.
  @jax.jit
  def train_step(state, group, arrays):
    recipe = _pixmatch_recipe(cfg, network, variables, arrays)
    return step_lib.make_update(recipe, mesh, 1)(state, group, None)

  state = None
  for number in range(sum(k.endswith('_x_s') for k in inputs)):
    arrays = _iteration(inputs, number)
    group = jax.tree.map(
      lambda x: jnp.asarray(x)[None],
      types.Batch(
        types.Source(arrays['x_s'], arrays['y_s']),
        types.Target(arrays['x_t'], np.ones(arrays['x_t'].shape[:3], bool)),
      ),
    )
    if state is None:
      state = state_lib.init_state(
        _pixmatch_recipe(cfg, network, variables, arrays),
        variables,
        jax.random.key(0),
        group,
        num_steps=int(cfg['iterations']),
      )
      state = tiny.place(
        dataclasses.replace(
          state, step=jnp.asarray(int(cfg['first_iter']), jnp.int32)
        ),
        mesh,
      )
    state, metrics = train_step(state, group, arrays)
    yield (
      f'it{number}_lr',
      metrics['learning_rate'],
      expected[f'it{number}_lr'],
      1e-9,
      1e-5,
    )
    for key in expected:
      if key.startswith(f'it{number}_loss_'):
        name = key.removeprefix(f'it{number}_loss_').replace('aug_', 'augment_')
        yield key, metrics[f'loss/{name}'], expected[key], 1e-5, 0.0
  for kind, variables in (('model', state.student), ('ema', state.teacher)):
    ours = state_dict.export(variables)
    for key, value in expected.items():
      if key.startswith(kind + '/') and not key.endswith('_tracked'):
        yield key, ours[key.removeprefix(kind + '/')], value, 2e-5, 0.0


def sgd_duplicates(path: pathlib.Path) -> Iterator[common.Difference]:
  """The optimiser with parameters that are listed several times."""
  arrays = dict(np.load(path))
  for key in arrays:
    if not key.endswith(('_params', '_params_torch17')):
      continue
    repeats = int(key.split('_')[0].removeprefix('k'))
    rule = update_rules.repeated_sgd(
      momentum=float(arrays['momentum']),
      rates=1.0,
      weight_decay=float(arrays['weight_decay']),
      repeats=repeats,
      fresh_every_repeat=not key.endswith('torch17'),
    )
    params = jnp.asarray(arrays['p0'], networks.dtype())
    state = rule.init(params)
    for i, (grad, rate) in enumerate(zip(arrays['grads'], arrays['lrs'])):
      updates, state = rule.update(
        jnp.asarray(grad, networks.dtype()),
        state,
        params,
        learning_rate=jnp.asarray(rate, networks.dtype()),
      )
      params = params + updates
      yield f'{key}[{i}]', params, arrays[key][i], 1e-6, 1e-6
    if key.endswith('_params'):
      yield (
        f'k{repeats}_final_buf',
        state.momentum,
        arrays[f'k{repeats}_final_buf'],
        1e-6,
        1e-6,
      )


CHECKS = {
  'pixmatch/train_*.npz': pixmatch_train,
  'pixmatch/sgd_duplicates*.npz': sgd_duplicates,
}
