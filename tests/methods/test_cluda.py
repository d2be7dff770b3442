"""CLUDA on HRDA and on one resolution: terms, phases, degenerate batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from tests import tiny_hrda
from uda_jax import methods
from uda_jax import types
from uda_jax.configs.blocks import cluda as cluda_configs
from uda_jax.configs.blocks import hrda as hrda_configs
from uda_jax.methods import cluda
from uda_jax.methods import hrda
from uda_jax.methods import self_training
from uda_jax.ops import boxes

NUM_CLASSES = tiny_hrda.NUM_CLASSES


def _config(**fields):
  base = hrda_configs.method(
    tiny.self_training_config(), detail_crop=tiny_hrda.CROP
  )
  config = cluda_configs.method(base, grid=(9, 9), entropy_start=5)
  config.cluda_contrast.update(fields)
  return config


def _method(config) -> types.Method:
  """Without colour jitter, which takes long to compile."""
  operators = hrda.operators(config, NUM_CLASSES)._replace(
    augment=lambda key, pixels: pixels
  )
  block = config.cluda_contrast
  return self_training.make(
    config,
    cluda.with_entropy(block, operators),
    cluda.with_contrast(block, hrda.segment),
  )


@pytest.fixture(scope='module')
def state() -> types.TrainState:
  """Student and teacher of the network."""
  return tiny_hrda.state(tiny_hrda.network())


@pytest.fixture(scope='module')
def run(state):
  """f(batch, scale by name) -> terms and gradient of the late phase."""
  method, network = _method(_config()), tiny_hrda.network()

  @jax.jit
  def gradient(params, batch, scales):
    def total(params):
      terms = method.loss(
        params, state, batch, jax.random.key(3), network, None, phase=1
      ).terms
      values = {name: t.weight * t.value for name, t in terms.items()}
      return sum(scales[name] * x for name, x in values.items()), values

    grads, values = jax.grad(total, has_aux=True)(params)
    return values, grads

  def call(batch, **scales):
    names = [
      f'{name}{term}'
      for name in ('source', 'mixed')
      for term in ('', '_detail', '_contrast')
    ]
    default = 0.0 if scales else 1.0
    return gradient(
      state.student.params,
      batch,
      {name: scales.get(name, default) for name in names},
    )

  return call


def test_terms_and_whom_they_train(run):
  values, grads = run(
    tiny_hrda.batch(), source_contrast=1.0, mixed_contrast=1.0
  )
  assert set(values) == {
    'source',
    'source_detail',
    'source_contrast',
    'mixed',
    'mixed_detail',
    'mixed_contrast',
  }
  assert all(value > 0 for value in values.values())
  heads = {**grads['decode_head'], 'backbone': grads['backbone']}
  assert {
    name: any(np.any(g) for g in jax.tree.leaves(tree))
    for name, tree in heads.items()
  } == {
    'head': True,
    'feat_weighter': True,
    'scale_attention': False,
    'backbone': True,
  }
  assert not np.any(grads['decode_head']['head']['conv_seg']['kernel'])


@pytest.mark.parametrize('phase', [0, 1])
def test_only_the_later_phase_asks_for_the_highest_entropy(state, phase):
  seen = []
  method = _method(_config())
  assert method.starts == (5,)
  jax.eval_shape(
    lambda batch: (
      method.loss(
        state.student.params,
        state,
        batch,
        jax.random.key(3),
        tiny_hrda.network(seen),
        None,
        phase=phase,
      ).terms
    ),
    tiny_hrda.batch(),
  )
  source, teacher, mixed = seen
  assert teacher is None
  assert source.shape == (4,)
  assert (isinstance(mixed, str) and mixed == boxes.MAX_ENTROPY) == bool(phase)


def test_without_a_start_there_is_one_phase():
  assert _method(_config(entropy_start=0)).starts == ()


@pytest.mark.parametrize(
  'case', ['all ignored', 'one class', 'nothing trusted']
)
def test_degenerate_batches_are_finite(run, case):
  batch = tiny_hrda.batch()
  source, target = batch.source, batch.target
  if case == 'all ignored':
    source = source._replace(label=np.full_like(source.label, 255))
  elif case == 'one class':
    source = source._replace(label=np.zeros_like(source.label))
  else:
    target = target._replace(valid_mask=np.zeros_like(target.valid_mask))
  values, grads = run(batch._replace(source=source, target=target))
  assert np.isfinite(list(values.values())).all()
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  if case != 'nothing trusted':
    assert values['source_contrast'] == 0


def _pass(label, config):
  """A grid of one pass of maps that are easy to follow."""
  size = label.shape[1:]
  maps = {
    'fused_lr': jnp.ones((1, *size, 2)),
    'fused_hr': jnp.ones((1, *size, 2)),
    'feature_weight': jnp.full((1, *size, 1), 0.25),
    'crop_mask': jnp.zeros((1, *size, 1)).at[:, :, 2:].set(1),
  }
  return cluda.to_grid(
    config,
    maps,
    self_training.Labeled((), jnp.asarray(label), jnp.full(label.shape, 0.5)),
  )


def test_road_in_the_crop_counts_as_outside_only_as_released():
  label = np.zeros((1, 5, 5), np.int32)
  label[:, 0] = 1
  config = _config(grid=(5, 5))
  grid = _pass(label, config.cluda_contrast)
  np.testing.assert_array_equal(grid.detail.inside[0, :, 2:], True)
  np.testing.assert_array_equal(grid.detail.inside[0, :, :2], False)
  config.cluda_contrast.update(cluda_configs.RELEASED)
  grid = _pass(label, config.cluda_contrast)
  np.testing.assert_array_equal(grid.detail.inside.sum((0, 2)), [3, 0, 0, 0, 0])
  np.testing.assert_array_equal(grid.confidence, np.full((1, 5, 5), 0.5))


def test_one_resolution_through_the_table():
  """DAFormer and other networks have one fused map."""
  config = cluda_configs.method(tiny.self_training_config(), grid=(5, 5))
  assert methods.make(config, NUM_CLASSES).starts == ()
  label = jnp.asarray(tiny_hrda.batch().source.label)
  maps = {'fused': jax.random.normal(jax.random.key(0), (2, 8, 8, 4))}
  outputs = types.Outputs((), maps=maps)
  data = self_training.Labeled((), label)
  value = cluda.contrast(config.cluda_contrast, outputs, data)
  assert value > 0
  doubtful = data._replace(weight=jnp.full(label.shape, 0.5))
  # Confidence enters once an anchor and once a positive.
  np.testing.assert_allclose(
    cluda.contrast(config.cluda_contrast, outputs, doubtful),
    value / 4,
    rtol=1e-5,
  )


def test_detail_crops_need_the_learned_weight():
  maps = {'fused_hr': jnp.zeros((2, 8, 8, 1))}
  with pytest.raises(ValueError, match='config.model.feature_weight'):
    cluda.to_grid(
      _config().cluda_contrast,
      maps,
      self_training.Labeled((), jnp.zeros((2, 8, 8), jnp.int32)),
    )
