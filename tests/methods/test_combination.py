"""PiPa, CLUDA and MIC at once on HRDA: phases, bad batches, unreached heads."""

import dataclasses

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from tests import tiny
from tests import tiny_hrda
from uda_jax import labels
from uda_jax import methods
from uda_jax import parallel
from uda_jax import types
from uda_jax.augment import dacs_jitter
from uda_jax.augment import pipa_jitter
from uda_jax.configs.blocks import cluda
from uda_jax.configs.blocks import hrda
from uda_jax.configs.blocks import mic
from uda_jax.configs.blocks import pipa
from uda_jax.methods import mic as mic_lib
from uda_jax.models import extra_heads
from uda_jax.ops import boxes
from uda_jax.train import gradient as gradient_lib
from uda_jax.train import optim
from uda_jax.train import recipe as recipe_lib

HEADS = extra_heads.build(
  ml_collections.ConfigDict(
    dict(
      heads=(
        ('proj', 'features', 4),
        ('cls', 'features', 3),
        ('project', 'logits', 4),
      )
    )
  )
)
EARLY = {
  f'{name}{term}'
  for name in ('source', 'mixed')
  for term in ('', '_detail', '_contrast')
}
EARLY |= {'pixel', 'masked', 'masked_detail'}


@pytest.fixture(scope='module')
def method() -> types.Method:
  """Patches from step 3 on, crops of highest entropy from step 5 on."""
  config = hrda.method(tiny.self_training_config(), detail_crop=tiny_hrda.CROP)
  config = pipa.method(config, patch_features='logits')
  config.patch_contrast.update(start=3, channels=4, samples=5, threshold=0.1)
  config.pixel_contrast.max_samples = 24
  config = cluda.method(config, grid=(9, 9), entropy_start=5)
  config = mic.masked(config, block=8)
  same = lambda key, pixels: pixels
  with pytest.MonkeyPatch.context() as patch:
    # Colour jitter takes long to compile.
    patch.setattr(dacs_jitter, 'strong_augment', same)
    patch.setattr(pipa_jitter, 'jitter_views', same)
    patch.setattr(mic_lib, 'augment_together', same)
    return methods.make(config, tiny_hrda.NUM_CLASSES)


@pytest.fixture(scope='module')
def state(method) -> types.TrainState:
  network = tiny_hrda.network(heads=HEADS)
  return dataclasses.replace(
    tiny_hrda.state(network),
    method_state=method.init(jax.random.key(0), network, None),
  )


def _batch() -> types.Batch:
  random = np.random.default_rng(1)
  views = {
    'image': random.integers(0, 256, (2, 2, 16, 16, 3), np.uint8),
    'box': np.tile(np.int32([[0, 8, 8, 16], [8, 16, 0, 8]]), (2, 1, 1)),
    'flipped': np.array([[True, False], [False, False]]),
  }
  return tiny_hrda.batch()._replace(views=views)


def _losses(method, params, state, batch, network, phase):
  return method.loss(
    params, state, batch, jax.random.key(3), network, None, phase=phase
  )


@pytest.mark.parametrize('phase', [0, 1, 2])
def test_what_starts_late_is_not_there_before(method, state, phase):
  assert method.starts == (3, 5)
  seen = []
  losses = jax.eval_shape(
    lambda batch: _losses(
      method,
      state.student.params,
      state,
      batch,
      tiny_hrda.network(seen, HEADS),
      phase,
    ),
    _batch(),
  )
  assert set(losses.terms) == EARLY | ({'patch'} if phase else set())
  # The source, the teacher, the mixture, late the patches, then MIC's two.
  asked = [
    'windows'
    if detail is None
    else detail
    if isinstance(detail, str)
    else 'box'
    for detail in seen
  ]
  mixed = boxes.MAX_ENTROPY if phase == 2 else 'box'
  assert asked == [
    'box',
    'windows',
    mixed,
    *['windows'] * bool(phase),
    'windows',
    'box',
  ]


@pytest.mark.parametrize('phase', [0, 1])
def test_heads_that_no_loss_reaches_are_left_alone(method, state, phase):
  network = tiny_hrda.network(heads=HEADS)
  params = state.student.params
  recipe = recipe_lib.Recipe(
    method,
    network,
    optim.make(tiny.adamw(), params),
    lambda state: jnp.asarray(1e-2),
  )
  groups = lambda tree: jax.tree.map(lambda x: jnp.asarray(x)[None], tree)
  gradient, _ = jax.eval_shape(
    gradient_lib.make_gradient(recipe, parallel.make_mesh(1), 1, phase=phase),
    params,
    dataclasses.replace(state, method_state=groups(state.method_state)),
    groups(_batch()),
    None,
  )
  trained = jax.tree.map(lambda p, g: g is not None, params, gradient)
  found = {name: set(jax.tree.leaves(tree)) for name, tree in trained.items()}
  assert found == {
    'backbone': {True},
    'decode_head': {True},
    'proj_head': {True},
    # Released code's head of classes; the patches' head before its start.
    'cls_head': {False},
    'project': {bool(phase)},
  }


@pytest.fixture(scope='module')
def gradient(method, state):
  """f(batch, teacher) -> terms and gradient of the last phase."""
  network = tiny_hrda.network(heads=HEADS)

  @jax.jit
  def run(batch, teacher):
    def total(params):
      given = dataclasses.replace(state, teacher=teacher)
      terms = _losses(method, params, given, batch, network, 2).terms
      return sum(t.weight * t.value for t in terms.values()), {
        name: term.value for name, term in terms.items()
      }

    return jax.grad(total, has_aux=True)(state.student.params)

  return run


@pytest.mark.parametrize(
  'case',
  [
    'all ignored',
    'one class',
    'class absent',
    'nothing trusted',
    'no confident pixel',
    'flat images',
  ],
)
def test_degenerate_batches_are_finite(gradient, state, case):
  source, target, views, _ = _batch()
  teacher = state.teacher
  if case == 'all ignored':
    source = source._replace(
      label=np.full_like(source.label, labels.IGNORE_LABEL)
    )
  elif case == 'one class':
    source = source._replace(label=np.zeros_like(source.label))
  elif case == 'class absent':
    source = source._replace(label=np.minimum(source.label, 1))
  elif case == 'nothing trusted':
    target = target._replace(valid_mask=np.zeros_like(target.valid_mask))
  elif case == 'no confident pixel':
    teacher = jax.tree.map(jnp.zeros_like, teacher)
  else:
    source, target = (
      x._replace(image=np.full_like(x.image, 128)) for x in (source, target)
    )
  grads, terms = gradient(types.Batch(source, target, views), teacher)
  for name, value in terms.items():
    assert np.isfinite(value), name
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))
  if case == 'all ignored':
    assert not terms['source'] and not terms['pixel']
  if case in ('nothing trusted', 'no confident pixel'):
    assert not terms['masked']
