"""Whole training iterations of VFM-UDA, through the train step.

The draws or their results are recorded in the files and enter through the
method's operators; everything else is the code that trains. Numbers of images,
classes, blocks and steps are read from the files.
"""

from __future__ import annotations

from collections.abc import Iterator
import itertools
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from tests import tiny
from tests.golden_checks import common
from tests.golden_checks import transformers
from tests.golden_checks import vfm
from tests.golden_checks import vfm_networks
from uda_jax import labels
from uda_jax import parallel
from uda_jax import types
from uda_jax.augment import classmix
from uda_jax.configs.blocks import vfm as configs
from uda_jax.methods import vfm_uda
from uda_jax.methods import vfm_uda_terms
from uda_jax.models.weights import state_dict
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib

Tensors = transformers.Tensors
DISTANCES = ('source_for_distance', 'target_for_distance')
LOSSES = {
  'loss_source': 'source',
  'loss_mix': 'mixed',
  'loss_masked': 'masked',
  'loss_distance_source': 'distance_source',
  'loss_distance_target': 'distance_target',
}


def operators(draws: Tensors) -> vfm_uda.Operators:
  """Operators that apply recorded draws, or return recorded results."""
  recorded = lambda name: lambda key, pixels: 255 * draws[name]
  # The source's distance is computed before the target's.
  domains = itertools.cycle(DISTANCES)
  return vfm_uda.Operators(
    flip=lambda key, batch: vfm_uda_terms.flip_batch(
      batch, draws['flip_source'] > 0, draws['flip_target'] > 0
    ),
    augment_source=recorded('source_augmented'),
    augment_target=recorded('target_before_mixing'),
    augment_mixed=recorded('mixed_augmented'),
    augment_masked=recorded('target_augmented_for_mask'),
    choose_classes=lambda key, label: classmix.class_mask(
      label, draws['chosen']
    ),
    mask=lambda key, batch, size: draws['visible'].reshape(batch, *size),
    augment_distance=lambda key, pixels: 255 * draws[next(domains)],
  )


def iteration(d: Tensors, num_classes: int) -> tuple[types.Batch, Tensors]:
  """The batch of an iteration, and its draws."""
  batch = types.Batch(
    types.Source(d['source_image'], d['source_label']),
    types.Target(
      d['target_image'], d['target_ignore_mask'] != labels.IGNORE_LABEL
    ),
  )
  names = (
    *('flip_source', 'flip_target', 'source_augmented', 'mixed_augmented'),
    'target_augmented_for_mask',
    *(name for name in DISTANCES if name in d),
  )
  draws = {name: d[name] for name in names}
  # The jittered target is recorded in the mixture of the first step alone;
  # where the source covers it, it plays no part.
  draws['target_before_mixing'] = d.get(
    'mixed_before_augment', np.zeros_like(d['mixed_augmented'])
  )
  draws['chosen'] = vfm.chosen(
    d['unique_batch'], d['class_choice'], num_classes
  )
  draws['visible'] = ~d['token_mask'] if 'token_mask' in d else d['block_keep']
  return batch, draws


def recipe(arrays: Tensors, made: types.Network, params, method):
  """The recorded optimizer and schedule, for one group."""
  optimizer = configs.optim(float(arrays['layerwise_lr_decay']))
  ((pattern, _, decay),) = optimizer.groups
  optimizer.groups = ((pattern, float(arrays['lr_multiplier']), decay),)
  optimizer.weight_decay = float(arrays['weight_decay'])
  schedule = configs.schedule(
    learning_rate=configs.group_rate(
      float(arrays['lr']), group_size=int(arrays['batch_size'])
    )
  )
  schedule.warmup_steps = int(arrays['warmup_iters'])
  schedule.length = int(arrays['max_steps'])
  return recipe_lib.Recipe(
    method=method,
    network=made,
    optimizer=optim.make(optimizer, params),
    learning_rate=lambda state: optim.learning_rate(schedule, state),
    teacher=teacher_lib.Rule(0.999, ramp=True),
  )


def step_vfmuda(path: pathlib.Path) -> Iterator[common.Difference]:
  """Consecutive iterations: losses, gradient, student and teacher."""
  read = lambda part: common.load(path.with_name(f'{path.stem}_{part}.npz'))
  arrays, after = common.load(path), read('after')
  grads = read('grads')
  made, student = vfm_networks.network(
    transformers.prefixed(read('weights'), 'sd:'), heads=int(arrays['heads'])
  )
  num_classes = student.params['decode_head']['out']['kernel'].shape[-1]
  mesh, panels = parallel.make_mesh(1), {}

  @jax.jit
  def train_step(state, batch, draws):
    method = vfm_uda.make(configs.method(), operators(draws))
    method = common.keeping_panels(method, panels)
    this = recipe(arrays, made, student.params, method)
    return step_lib.make_update(this, mesh, 1)(state, batch, None)

  count = sum(bool(re.fullmatch(r't\d+\.share', name)) for name in arrays)
  states, slack = [], []
  for number in range(count):
    d = transformers.prefixed(arrays, f't{number}.')
    batch, draws = iteration(d, num_classes)
    batch = jax.tree.map(lambda x: jnp.asarray(x)[None], batch)
    if not states:
      method = vfm_uda.make(configs.method(), operators(draws))
      first = state_lib.init_state(
        recipe(arrays, made, student.params, method),
        student,
        jax.random.key(0),
        batch,
        num_steps=count,
      )
      states.append(tiny.place(first, mesh))
    state, metrics = train_step(states[-1], batch, draws)
    jax.effects_barrier()
    states.append(state)
    slack.append(changed(d, metrics, panels))
    for name, *rest in logged(d, metrics, panels):
      yield f't{number}.{name}', *rest
    rates = learning_rates(arrays, student.params, metrics['learning_rate'])
    groups = d['lr_groups'][arrays['group_of_parameter:index']]
    yield f't{number}.lr_groups', rates, groups, 0.0, 1e-5
    steps_done = int(d['global_step_seen_by_ema'])
    yield f't{number}.step', int(state.step), steps_done, *common.EXACT
  yield from _gradients(states[1], grads, loose=slack[0])
  names = ('student', 'student', 'teacher')
  spans = ((1, 0), (2, 1), (2, 0))
  prefixes = ('delta1:', 'delta2:', 'ema_minus_start2:')
  for prefix, name, (new, old) in zip(prefixes, names, spans):
    moved = jax.tree.map(
      lambda a, b: np.asarray(a) - np.asarray(b),
      getattr(states[new], name).params,
      getattr(states[old], name).params,
    )
    yield from _moves(prefix, moved, after)


def learning_rates(arrays: Tensors, params, rate) -> np.ndarray:
  """The rate of each parameter, in the order of the recorded names."""
  config = configs.optim(float(arrays['layerwise_lr_decay']))
  factors = jax.tree.map(
    lambda p, x: np.full(p.shape, x),
    params,
    optim.learning_rates(config, params),
  )
  ours = state_dict.export(types.Variables(factors, {}))
  by_name = {vfm_networks.theirs(k): x.flat[0] for k, x in ours.items()}
  names = arrays['group_of_parameter:names']
  return float(rate) * np.array([by_name[str(name)] for name in names])


def changed(d: Tensors, metrics, panels) -> float:
  """Returns how loosely to compare: 0 if rounding changed no label or share."""
  return (
    common.LOOSE
    if any(apart > 0.5 for apart, _ in decisions(d, metrics, panels))
    else 0.0
  )


def decisions(d: Tensors, metrics, panels) -> Iterator[tuple[float, float]]:
  """Yields the numbers of pixels with another label, and of confidence."""
  size = d['pseudo_label'].size
  few = 0.0 if jax.config.jax_enable_x64 else common.FEW * size
  yield (
    float(np.sum(np.asarray(panels['pseudo_label']) != d['pseudo_label'])),
    few,
  )
  share = float(metrics['pseudo/confident_fraction'])
  yield abs(share - float(d['share'])) * size, few + 1e-2


def logged(d: Tensors, metrics, panels) -> Iterator[common.Difference]:
  """Labels, weights and losses of an iteration."""
  names = ('pseudo_label', 'n_confident')
  for name, (apart, few) in zip(names, decisions(d, metrics, panels)):
    yield name, apart, 0, few, 0.0
  if 'mixed_before_augment' in d:
    before = panels['mixed_before'] / 255
    yield 'mixed_before_augment', before, d['mixed_before_augment'], 1e-6, 0.0
  loose = changed(d, metrics, panels)
  label = panels['mixed_label']
  if loose:
    # Where the labels of the teacher are others, so are those of the mixture.
    same = panels['pseudo_label'] == d['pseudo_label']
    label = np.where(same, label, d['mixed_label'])
  yield 'mixed_label', label, d['mixed_label'], *common.EXACT
  ours = {
    'pseudo_weight': panels['pseudo_weight'],
    'mixed_weight': panels['mixed_weight'],
    'share': metrics['pseudo/confident_fraction'],
    **{
      name: metrics[f'loss/{term}']
      for name, term in LOSSES.items()
      if name in d
    },
  }
  # A pixel more or less above the threshold changes all weights.
  for name, x in ours.items():
    atol, rtol = vfm_networks.tolerance()
    yield name, x, d[name], atol, max(rtol, loose)


def _gradients(
  state, arrays: Tensors, *, loose: float
) -> Iterator[common.Difference]:
  """The gradient of the first step: its first moment is a share of it."""
  share = 1 - configs.optim(1.0).b1
  ours = state_dict.export(
    types.Variables(
      jax.tree.map(lambda x: np.asarray(x) / share, state.opt_state[0].mu), {}
    )
  )
  ours = {vfm_networks.theirs(name): x for name, x in ours.items()}
  for name, golden in transformers.prefixed(arrays, 'grad:').items():
    atol, rtol = vfm_networks.tolerance(golden)
    atol = max(atol, loose * np.abs(golden).max())
    yield f'grad:{name}', ours[name], golden, atol, rtol


def _moves(prefix, params, arrays: Tensors) -> Iterator[common.Difference]:
  """Recorded changes of the parameters."""
  ours = state_dict.export(types.Variables(params, {}))
  ours = {vfm_networks.theirs(name): x for name, x in ours.items()}
  for name, golden in transformers.prefixed(arrays, prefix).items():
    value = ours[name]
    if name.endswith('attn.qkv.bias'):
      # The keys' third has no gradient; Adam amplifies its rounding.
      value, golden = (
        np.delete(x.reshape(3, -1), 1, 0) for x in (value, golden)
      )
    if jax.config.jax_enable_x64:
      # The README's rule.
      yield prefix + name, value, golden, 1e-3 * np.abs(golden).max(), 0.0
      continue
    # In float32 steps of small gradient point elsewhere: an unrelated step
    # would be at 1.4, none at 1.
    norm = np.linalg.norm
    apart = norm(value - golden) / norm(golden)
    yield f'distance of {prefix}{name}', apart, 0.0, 0.4, 0.0


CHECKS = {'vfm/step_vfmuda.npz': step_vfmuda}
