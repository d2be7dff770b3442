"""PiPa on a pixelwise network: phases, the bank, who learns, bad batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from uda_jax import labels
from uda_jax import methods
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import pipa as configs
from uda_jax.methods import pipa_patches
from uda_jax.methods import pipa_pixels
from uda_jax.methods import self_training
from uda_jax.runs import checkpoint
from uda_jax.train import gradient as gradient_lib
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib
from uda_jax.train import teacher as teacher_lib

NUM_CLASSES = 4
MESH = parallel.make_mesh(1)


def _config(**fields):
  config = configs.method(tiny.self_training_config())
  config.pixel_contrast.update(max_views=6, max_samples=24)
  config.patch_contrast.update(start=1, channels=4, threshold=0.1, samples=5)
  config.update_from_flattened_dict(fields)
  return config


def _same(key, pixels):
  return pixels


def _method(fields=None, pair_stride=0, **patch_operators):
  """Without colour jitter, which takes long to compile."""
  config = _config(**(fields or {}))
  operators = self_training.operators(config, NUM_CLASSES)
  block = config.pixel_contrast
  base = self_training.make(
    config,
    operators._replace(augment=_same),
    source_terms=pipa_pixels.source_terms(
      block, pipa_pixels.sampler(block, NUM_CLASSES)
    ),
  )
  block = config.patch_contrast
  operators = pipa_patches.operators(block)._replace(
    **{'augment_views': _same} | patch_operators
  )
  return pipa_patches.with_patches(block, base, operators, pair_stride)


def _views(groups=1):
  random = np.random.default_rng(1)
  return {
    'image': random.integers(0, 256, (groups, 3, 2, 8, 8, 3), np.uint8),
    'box': np.tile(np.int32([[0, 4, 2, 8], [4, 8, 0, 6]]), (groups, 3, 1, 1)),
    'flipped': random.random((groups, 3, 2)) < 0.5,
  }


def _batch(views=True, label=None):
  batch = tiny.batch(0, 1, NUM_CLASSES)
  if label is not None:
    batch = batch._replace(
      source=batch.source._replace(
        label=np.full_like(batch.source.label, label)
      )
    )
  return batch._replace(views=_views() if views else None)


def _recipe(method, params):
  return recipe_lib.Recipe(
    method=method,
    network=tiny.network_with_heads(NUM_CLASSES),
    optimizer=optim.make(tiny.adamw(), params),
    learning_rate=lambda state: jnp.asarray(1e-2),
    teacher=teacher_lib.Rule(0.9, ramp=True),
  )


def _start(method, batch):
  """A recipe and the state before its first step."""
  network = tiny.network_with_heads(NUM_CLASSES)
  variables = network.init(jax.random.key(0), (8, 8))
  recipe = _recipe(method, variables.params)
  return recipe, state_lib.init_state(
    recipe, variables, jax.random.key(1), batch, num_steps=10
  )


def _gradient(method, batch, phase):
  recipe, state = _start(method, batch)
  gradient = gradient_lib.make_gradient(recipe, MESH, 1, phase=phase)
  return state, *jax.jit(gradient)(state.student.params, state, batch, None)


def _assert_finite(tree):
  for x in jax.tree.leaves(tree):
    if jnp.issubdtype(x.dtype, jnp.floating):
      assert np.isfinite(x).all()


def test_before_its_start_the_patch_term_is_not_there():
  method = _method()
  assert method.starts == (1,)

  def fail(*args):
    raise AssertionError(args)

  early = _method(augment_views=fail, draw_cells=fail)
  for views in (False, True):
    state, grads, found = _gradient(early, _batch(views), 0)
    assert set(found.terms) == {'source', 'pixel', 'mixed'}
    assert not np.any(grads['project']) and np.any(grads['proj'])
    jax.tree.map(
      np.testing.assert_array_equal, found.method_state, state.method_state
    )


def test_the_patch_term_trains_the_student():
  method = _method({'pixel_contrast.weight': 0.0, 'weight_mixed': 0.0})
  _, grads, found = _gradient(method, _batch(), 1)
  assert found.terms['patch'].value > 0
  assert 0 < found.metrics['patch/active_fraction'] < 1
  # Nothing else depends on these two.
  assert np.any(grads['project']) and np.any(grads['scale'])
  # No loss reaches the head of classes.
  assert not np.any(grads['cls'])
  _assert_finite((grads, found))


@pytest.mark.parametrize(
  'fields',
  [
    {},
    {
      'pixel_contrast.predict': 'untrained',
      'pixel_contrast.include_ignore': True,
    },
    {'patch_contrast.threshold': 1.0},
  ],
)
def test_finite_whatever_the_labels_and_the_confidence(fields):
  recipe, state = _start(_method(fields), _batch())
  gradient = jax.jit(gradient_lib.make_gradient(recipe, MESH, 1, phase=1))
  for label in (None, 2, labels.IGNORE_LABEL):
    grads, found = gradient(
      state.student.params, state, _batch(label=label), None
    )
    _assert_finite((grads, found))
    assert (found.terms['pixel'].value == 0) == (label is not None)
    assert (found.terms['patch'].value == 0) == (
      'patch_contrast.threshold' in fields
    )


def test_the_bank_fills_over_steps_and_survives_a_restart(tmp_path):
  batch = _batch()
  recipe, first = _start(_method(), batch)
  assert first.method_state.vector.shape == (1, 3, 10, 4)
  update = jax.jit(step_lib.make_update(recipe, MESH, 1, phase=1))
  states = [first]
  for count in range(1, 4):
    states.append(update(states[-1], batch)[0])
    np.testing.assert_array_equal(states[-1].method_state.filled.sum(), count)
  blocks = [state.method_state.vector[0, -1] for state in states[1:]]
  np.testing.assert_array_equal(states[-1].method_state.vector[0], blocks)
  assert all(np.any(block) for block in blocks)
  # What a second start finds goes on to the same bits.
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    saved.save(2, states[2], force=True)
    saved.wait()
  with checkpoint.Checkpoints(tmp_path, every_steps=1) as saved:
    resumed = saved.restore(jax.eval_shape(lambda: first))
  resumed, _ = update(resumed, batch)
  for part in ('student', 'teacher', 'opt_state', 'method_state'):
    jax.tree.map(
      np.testing.assert_array_equal,
      getattr(resumed, part),
      getattr(states[3], part),
    )


def test_the_released_code_has_no_patch_term():
  config = configs.released(tiny.self_training_config())
  method = methods.make(config, NUM_CLASSES)
  assert not method.starts and not method.init(None, None, None)


def test_labels_of_a_detail_crop():
  label = jnp.arange(2 * 16 * 16).reshape(2, 16, 16)
  outputs = types.Outputs(
    jnp.zeros((2, 8, 8, 3)),
    maps={'detail': jnp.zeros((2, 4, 4, 3))},
    boxes=jnp.array([2, 10, 4, 12]),
  )
  aligned = pipa_pixels.pixel_label(
    _config().pixel_contrast, outputs, label, (4, 4)
  )
  np.testing.assert_array_equal(aligned, label[:, 2:10:2, 4:12:2])
  squeezed = pipa_pixels.pixel_label(
    _config(**{'pixel_contrast.align_label': False}).pixel_contrast,
    outputs,
    label,
    (4, 4),
  )
  np.testing.assert_array_equal(squeezed, label[:, ::4, ::4])


def test_what_does_not_fit_names_its_field():
  with pytest.raises(ValueError, match='config.data.pair'):
    _gradient(_method(), _batch(views=False), 1)
  with pytest.raises(
    ValueError, match='config.method.patch_contrast.channels.* 4,'
  ):
    _gradient(_method({'patch_contrast.channels': 8}), _batch(), 1)
  with pytest.raises(ValueError, match='config.method.pixel_contrast.predict'):
    _method({'pixel_contrast.predict': 'psychic'})


def test_cells_are_whole_pixels():
  """DINOv2's 26 cells of a crop of 720 rows would be 27.7 pixels."""
  assert pipa_patches._cell_size((728, 728), (26, 26), 28) == 28
  assert pipa_patches._cell_size((64, 128), (8, 16), 16) == 8
  assert pipa_patches._cell_size((64, 128), (8, 16), 0) == 8
  for crop, cells in (((720, 720), (26, 26)), ((64, 100), (8, 16))):
    with pytest.raises(ValueError, match=r'pair\.crop_size: expected a mult'):
      pipa_patches._cell_size(crop, cells, 0)


def test_overlaps_are_made_of_whole_cells():
  """A box of half a cell would be rounded to another place in silence."""
  _gradient(_method(pair_stride=4), _batch(), 1)
  with pytest.raises(ValueError, match=r'pair\.stride: expected .* of 2,.* 3'):
    _gradient(_method(pair_stride=3), _batch(), 1)
