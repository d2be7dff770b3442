"""The generic step: groups, devices, skipped steps, untouched parameters."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests import tiny
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import common
from uda_jax.methods import self_training
from uda_jax.parallel import mesh as mesh_lib
from uda_jax.train import gradient
from uda_jax.train import optim
from uda_jax.train import patterns
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib
from uda_jax.train import update_rules

NUM_CLASSES = 4


def _recipe(method=None, optimizer=None, **kwargs):
  network = tiny.network(NUM_CLASSES)
  params = network.init(jax.random.key(0), (8, 8)).params
  config = optimizer or tiny.adamw()
  return recipe_lib.Recipe(
    method=method or tiny.self_training_method(NUM_CLASSES),
    network=network,
    optimizer=optim.make(config, params),
    learning_rate=lambda state: jnp.asarray(1e-2),
    teacher=teacher_lib.Rule(decay=0.9, ramp=True),
    **kwargs,
  )


def _init(recipe, groups=4):
  variables = recipe.network.init(jax.random.key(1), (8, 8))
  return state_lib.init_state(
    recipe,
    variables,
    jax.random.key(2),
    tiny.batch(0, groups, NUM_CLASSES),
    num_steps=10,
  )


def _run(recipe, devices, groups=4, steps=5, shard='none'):
  state, losses = _run_on_devices(recipe, devices, groups, steps, shard)
  return jax.device_get(state), losses


def _run_on_devices(recipe, devices, groups, steps, shard):
  mesh = parallel.make_mesh(devices)
  step = step_lib.make_train_step(recipe, mesh, groups, shard=shard)
  state = tiny.place(_init(recipe, groups), mesh, shard)
  losses = []
  for number in range(steps):
    batch = parallel.to_global(tiny.batch(number, groups, NUM_CLASSES), mesh)
    state, metrics = step(state, batch, None)
    losses.append(float(metrics['loss/total']))
  return state, losses


def test_devices_accumulation_and_sharding_change_nothing(monkeypatch):
  monkeypatch.setattr(mesh_lib, '_LEAST_DIVIDED', 1)
  start = _init(_recipe())
  runs = {devices: _run(_recipe(), devices) for devices in (1, 2, 4)}
  runs['accumulate'] = _run(_recipe(accumulate=2), 2)
  runs['optimizer'] = _run(_recipe(), 2, shard='optimizer')
  runs['all'] = _run(_recipe(), 4, shard='all')
  reference, losses = runs.pop(1)
  for name, (state, other) in runs.items():
    np.testing.assert_allclose(other, losses, rtol=1e-5, err_msg=str(name))
    for part in ('student', 'teacher'):
      for a, b, s in zip(
        *map(
          jax.tree.leaves,
          (getattr(reference, part), getattr(state, part), start.student),
        )
      ):
        change = np.max(np.abs(a - s))
        assert np.max(np.abs(a - b)) <= 1e-5 * max(change, 1e-3), (name, part)


@pytest.mark.parametrize(
  ('shard', 'divided'),
  [
    ('optimizer', ('opt_state', 'teacher')),
    ('all', ('opt_state', 'teacher', 'student')),
  ],
)
def test_a_sharded_state_lies_in_parts_on_the_devices(
  shard, divided, monkeypatch
):
  monkeypatch.setattr(mesh_lib, '_LEAST_DIVIDED', 1)
  state, _ = _run_on_devices(_recipe(), 2, 4, 1, shard)
  for name in ('student', 'teacher', 'opt_state'):
    for x in jax.tree.leaves(getattr(state, name)):
      even = any(n % 2 == 0 for n in x.shape)
      parts = 2 if even and name in divided else 1
      assert x.addressable_shards[0].data.size * parts == x.size, name


def test_groups_that_do_not_fit_say_which_do():
  with pytest.raises(ValueError, match=r'batch\.groups.*multiple of 4.*got 6'):
    step_lib.make_train_step(_recipe(), parallel.make_mesh(4), 6)


@pytest.mark.parametrize(
  'optimizer', [tiny.adamw(), common.sgd(weight_decay=1e-4)]
)
def test_a_nonfinite_step_moves_nothing_but_the_counters(optimizer):
  recipe = _recipe(optimizer=optimizer)
  mesh = parallel.make_mesh(1)
  step = step_lib.make_train_step(recipe, mesh, 2)
  state = _init(recipe, 2)
  before = jax.device_get(state)
  batch = tiny.batch(0, 2, NUM_CLASSES)
  bad = batch._replace(
    source=batch.source._replace(image=np.full_like(batch.source.image, np.nan))
  )
  state, metrics = step(state, bad, None)
  after = jax.device_get(state)
  assert after.step == 1 and after.nonfinite == 1 and metrics['skipped'] == 1
  same = dataclasses.replace(
    after, step=before.step, nonfinite=before.nonfinite, rng=None
  )
  expected = dataclasses.replace(before, rng=None)
  jax.tree.map(np.testing.assert_array_equal, same, expected)
  state, metrics = step(state, batch, None)
  assert state.nonfinite == 0 and metrics['skipped'] == 0
  assert state.step == 2


def test_the_state_is_written_over_without_a_copy():
  mesh = parallel.make_mesh(1)
  step = step_lib.make_train_step(_recipe(), mesh, 2)
  batch = tiny.batch(0, 2, NUM_CLASSES)
  lowered = step.lower(_init(_recipe(), 2), batch, None)
  # As users have it; tests turn most passes off.
  program = lowered.compile({'xla_backend_optimization_level': 2})
  names = re.findall(r'copy\(\S*(state_\w+)', program.as_text())
  assert not [name for name in names if '__' in name]


def test_unreached_and_frozen_parameters_stay():
  recipe = _recipe(
    frozen=lambda params: patterns.match(params, (('norm', True),), False)
  )
  start = _init(recipe)
  state, _ = _run(recipe, 1, steps=2)
  before, after = start.student.params, state.student.params
  np.testing.assert_array_equal(after['unused'], before['unused'])
  np.testing.assert_array_equal(after['norm'], before['norm'])
  assert np.any(after['kernel'] != before['kernel'])


def test_teacher_is_the_ramped_average_of_the_student():
  recipe = _recipe()
  states = [_init(recipe)]
  for steps in (1, 2):
    states.append(_run(recipe, 1, steps=steps)[0])
  # decay(1) = 1 - 1/2, decay(2) = 1 - 1/3.
  k = [np.asarray(s.student.params['kernel']) for s in states]
  expected = k[0]
  for number in (1, 2):
    decay = min(1 - 1 / (number + 1), 0.9)
    expected = decay * expected + (1 - decay) * k[number]
    np.testing.assert_allclose(
      states[number].teacher.params['kernel'], expected, rtol=1e-6
    )


def test_copied_statistics():
  recipe = _recipe()._replace(
    teacher=teacher_lib.Rule(decay=0.9, ramp=False, copy_stats_every=2)
  )
  start = _init(recipe)
  one, _ = _run(recipe, 1, steps=1)
  two, _ = _run(recipe, 1, steps=2)
  np.testing.assert_array_equal(
    one.teacher.batch_stats['mean'], start.teacher.batch_stats['mean']
  )
  np.testing.assert_array_equal(
    two.teacher.batch_stats['mean'], two.student.batch_stats['mean']
  )


def test_method_state_has_an_entry_a_group():
  def loss(params, state, batch, key, network, frozen, *, phase=0):
    value = jnp.mean(params['kernel'] ** 2) * jnp.mean(
      batch.source.image.astype(jnp.float32)
    )
    return types.Losses(
      {'toy': types.LossTerm(value)},
      state.student.batch_stats,
      state.teacher.batch_stats,
      method_state=state.method_state + batch.source.label[0, 0, 0],
    )

  method = types.Method(
    loss, init=lambda key, network, batch: jnp.zeros((), jnp.int32)
  )
  for devices in (1, 2):
    state, _ = _run(_recipe(method), devices, steps=3)
    expected = sum(
      tiny.batch(n, 4, NUM_CLASSES).source.label[:, 0, 0, 0] for n in range(3)
    )
    np.testing.assert_array_equal(state.method_state, expected)


def test_a_phase_that_has_not_begun_is_not_compiled():
  def loss(params, state, batch, key, network, frozen, *, phase=0):
    terms = {'always': types.LossTerm(jnp.sum(params['kernel'] ** 2))}
    if phase:
      terms['late'] = types.LossTerm(jnp.sum(params['unused'] ** 2))
    return types.Losses(
      terms, state.student.batch_stats, state.teacher.batch_stats
    )

  recipe = _recipe(types.Method(loss, starts=(3,)))
  mesh = parallel.make_mesh(1)
  state = _init(recipe, 2)
  batch = tiny.batch(0, 2, NUM_CLASSES)
  update = lambda phase: jax.jit(
    step_lib.make_update(recipe, mesh, 2, phase=phase)
  )
  _, early = update(0)(state, batch)
  after, late = update(1)(state, batch)
  assert 'loss/late' not in early and 'loss/late' in late
  assert np.any(
    np.asarray(after.student.params['unused'])
    != np.asarray(state.student.params['unused'])
  )


def test_panels_are_a_function_of_their_own():
  recipe = _recipe()
  panels = step_lib.make_panels(recipe, parallel.make_mesh(1))(
    _init(recipe, 2), tiny.batch(0, 2, NUM_CLASSES)
  )
  assert panels['mixed'].shape == (2, 8, 8, 3)
  assert panels['mixed_weight'].shape == (2, 8, 8)


@pytest.mark.parametrize('repeats', [1, 3])
def test_repeated_sgd_against_the_loop(repeats):
  params = {'a': jnp.array([1.0, -2.0])}
  rule = update_rules.repeated_sgd(
    momentum=0.9,
    weight_decay={'a': 0.1},
    rates={'a': 2.0},
    repeats={'a': repeats},
    fresh_every_repeat=False,
  )
  state = rule.init(params)
  p, b = np.array([1.0, -2.0]), np.zeros(2)
  for g in (np.array([0.5, 1.0]), np.array([-1.0, 0.25])):
    updates, state = rule.update(
      {'a': jnp.asarray(g, jnp.float32)},
      state,
      params,
      learning_rate=jnp.asarray(0.1),
    )
    params = optax.apply_updates(params, updates)
    for _ in range(repeats):
      b = 0.9 * b + g + 0.1 * p
      p = p - 0.1 * 2.0 * b
  np.testing.assert_allclose(params['a'], p, rtol=1e-5)


def test_depends_on_input():
  @jax.jit
  def function(x, y):
    return {
      'no': jnp.zeros(3),
      'yes': jnp.sin(x),
      'both': x * y,
      'constant': jnp.arange(3) + 1,
    }

  assert gradient.depends_on_input(function, jnp.ones(3), jnp.ones(3)) == {
    'no': False,
    'yes': True,
    'both': True,
    'constant': False,
  }


def test_first_matching_row_wins():
  tree = {'head': {'norm': 0, 'kernel': 0}, 'stem': {'norm': 0}}
  assert patterns.match(tree, (('head', 10.0), ('norm', 2.0)), 1.0) == {
    'head': {'norm': 10.0, 'kernel': 10.0},
    'stem': {'norm': 2.0},
  }


def test_self_training_operators_are_random_but_keyed():
  config = tiny.self_training_config()
  operators = self_training.operators(config, NUM_CLASSES)
  label = jnp.asarray(tiny.batch(0, 1, NUM_CLASSES).source.label[0])
  same = [operators.choose_classes(jax.random.key(3), label) for _ in '12']
  np.testing.assert_array_equal(*same)
