"""A method's later phases are looked at before the first step."""

import dataclasses
import types

import jax
import pytest

from benchmarks import random_batches
from uda_jax import configs
from uda_jax import models
from uda_jax.train import later_phases
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib

CLASSES = 11


def _start(name, **changes):
  """Returns a run, shapes of its state, and its first batch."""
  config = configs.load(name)
  config.update_from_flattened_dict(changes)
  sizes = random_batches.image_sizes(config)
  network = models.build(config, CLASSES)
  key = jax.random.key(0)
  student = jax.eval_shape(lambda: network.init(key, sizes.source))
  recipe = recipe_lib.make(config, CLASSES, network, student.params)
  batch = random_batches.make(config, sizes, CLASSES, phase=0)
  state = jax.eval_shape(
    lambda: state_lib.init_state(recipe, student, key, batch, num_steps=9)
  )
  run = types.SimpleNamespace(config=config, recipe=recipe, frozen=None)
  return run, dataclasses.replace(state, step=0), batch


@pytest.mark.parametrize(
  'name', ['streets/pipa', 'streets/pixmatch', 'streets/lse']
)
def test_a_run_whose_phases_fit_starts(name):
  later_phases.check(*_start(name))


def test_a_phase_that_cannot_run_is_an_error_before_the_first_step():
  run, state, batch = _start(
    'streets/pipa', **{'method.patch_contrast.samples': 100_000}
  )
  with pytest.raises(ValueError, match=r'patch_contrast\.samples.* at most'):
    later_phases.check(run, state, batch)
  # Phases that have begun are not looked at again.
  begun = run.recipe.method.starts[0]
  later_phases.check(run, dataclasses.replace(state, step=begun), batch)


def test_a_stride_of_pairs_that_cuts_cells_is_an_error_before_the_first_step():
  start = _start('streets/pipa', **{'data.pair.stride': 2})
  with pytest.raises(ValueError, match=r'pair\.stride: .* multiple of 4, .* 2'):
    later_phases.check(*start)
