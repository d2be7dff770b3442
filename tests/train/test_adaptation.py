"""Runs with adapters: what moves, what is stored, and what is read again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import tiny
from uda_jax import parallel
from uda_jax import types
from uda_jax.configs.blocks import common
from uda_jax.models import adapters
from uda_jax.runs import adapted
from uda_jax.runs import checkpoint
from uda_jax.runs import networks
from uda_jax.train import adaptation
from uda_jax.train import recipe as recipe_lib
from uda_jax.train import state as state_lib
from uda_jax.train import step as step_lib

NUM_CLASSES = 4
WIDTH = 6


def _network():
  """A dense layer of every pixel in the encoder, another in the head."""

  def init(key, image_size):
    del image_size
    keys = jax.random.split(key)
    layer = {
      'kernel': jax.random.normal(keys[0], (3, WIDTH)),
      'bias': jnp.ones(WIDTH),
    }
    head = 0.1 * jax.random.normal(keys[1], (WIDTH, NUM_CLASSES))
    return types.Variables(
      {
        'backbone': {
          'blocks': {'0': {'mlp': {'fc1': layer}}},
          'norm': {'scale': jnp.ones(3)},
        },
        'decode_head': {'kernel': head},
      },
      {},
    )

  def forward(params, stats, image, **switches):
    del switches
    layer = params['backbone']['blocks']['0']['mlp']['fc1']
    x = image * params['backbone']['norm']['scale']
    x = jnp.tanh(x @ layer['kernel'] + layer['bias'])
    return types.Outputs(x @ params['decode_head']['kernel']), stats

  return types.Network(
    init,
    forward,
    lambda pixels: pixels.astype(jnp.float32) / 64 - 2,
    lambda image: (image + 2) * 64,
  )


class _Run:
  """Train step, state and base of a run in a directory."""

  def __init__(self, workdir, monkeypatch, kind='soma'):
    # Colour jitter takes long to compile.
    monkeypatch.setattr(
      recipe_lib.methods,
      'make',
      lambda config, num_classes, pair_stride: tiny.self_training_method(
        num_classes
      ),
    )
    config = common.run(steps=9, groups=1)
    config.optim = common.adamw(weight_decay=0.1)
    config.optim.adapters = kind
    config.optim.low_rank.update(rank=2, alpha=2.0)
    config.schedule = common.poly(learning_rate=0.1)
    config.teacher = common.teacher(decay=0.9)
    config.method = tiny.self_training_config()
    self.mesh = parallel.make_mesh(1)
    self.network = _network()
    self.plain = self.network.init(jax.random.key(0), (8, 8))
    student, self.base = adaptation.start(config, workdir, self.plain)
    self.recipe = recipe_lib.make(
      config, NUM_CLASSES, self.network, student.params
    )
    self.workdir = workdir
    self.step = step_lib.make_train_step(self.recipe, self.mesh, 1)
    self.state = tiny.place(
      state_lib.init_state(
        self.recipe,
        student,
        jax.random.key(2),
        tiny.batch(0, 1, NUM_CLASSES),
        num_steps=9,
      ),
      self.mesh,
    )

  def train(self, steps):
    for _ in range(steps):
      number = int(self.state.step)
      batch = tiny.batch(number, 1, NUM_CLASSES)
      batch = parallel.to_global(batch, self.mesh)
      self.state, _ = self.step(self.state, batch, None)

  def saved(self):
    return checkpoint.Checkpoints(self.workdir, every_steps=1, base=self.base)

  def like(self):
    shapes = jax.eval_shape(lambda: self.state)
    return jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      shapes,
      parallel.state_sharding(shapes, self.mesh),
    )


def _same(a, b):
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x, y = map(jax.random.key_data, (x, y))
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize('kind', ['soma', 'lora'])
def test_only_what_trains_moves_and_has_moments(tmp_path, monkeypatch, kind):
  run = _Run(tmp_path, monkeypatch, kind)
  before = jax.device_get(run.state)
  run.train(3)
  frozen = run.recipe.frozen(run.state.student.params)
  assert any(jax.tree.leaves(frozen)) and not all(jax.tree.leaves(frozen))
  for name in ('student', 'teacher'):
    moved = jax.tree.map(
      lambda new, old: bool(np.any(np.asarray(new) != old)),
      getattr(run.state, name).params,
      getattr(before, name).params,
    )
    # The teacher's base is the student's to the bit.
    assert moved == jax.tree.map(lambda fixed: not fixed, frozen)
  moments = run.state.opt_state[0].mu
  sizes = jax.tree.map(lambda fixed, m: (fixed, m.ndim), frozen, moments)
  for fixed, axes in jax.tree.leaves(
    sizes, is_leaf=lambda x: isinstance(x, tuple)
  ):
    assert (axes == 0) == fixed


def test_a_resumed_run_has_the_bits_of_one_that_was_not(tmp_path, monkeypatch):
  run = _Run(tmp_path / 'a', monkeypatch)
  run.train(2)
  with run.saved() as saved:
    saved.save(2, run.state, force=True)
  run.train(2)
  base = (tmp_path / 'a' / adapted.FILE).read_bytes()
  again = _Run(tmp_path / 'a', monkeypatch)
  assert (tmp_path / 'a' / adapted.FILE).read_bytes() == base
  with again.saved() as saved:
    again.state = saved.restore(again.like())
  assert int(again.state.step) == 2
  again.train(2)
  _same(again.state, run.state)


def test_the_stored_network_is_small_and_read_as_plain_weights(
  tmp_path, monkeypatch
):
  run = _Run(tmp_path, monkeypatch)
  run.train(2)
  with run.saved() as saved:
    saved.save(2, run.state, force=True)
    saved.save_best(2, run.state.student, {'value': 0.5})
  stored = checkpoint.stored.shapes(tmp_path / 'best' / '0' / 'net')
  layer = stored['params']['backbone']['blocks']['0']['mlp']['fc1']
  assert set(layer) == {'bias', 'lora_a', 'lora_b'}
  assert 'norm' not in stored['params']['backbone']
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), run.plain
  )
  image = jax.random.normal(jax.random.key(5), (1, 4, 4, 3))
  for which in ('student', 'teacher', 'best'):
    name = 'student' if which == 'best' else which
    own = getattr(run.state, name)
    found = networks.load(tmp_path, which, like)
    assert jax.tree.structure(found) == jax.tree.structure(run.plain)
    outputs, _ = run.network.forward(found.params, {}, image)
    expected, _ = run.recipe.network.forward(own.params, {}, image)
    np.testing.assert_allclose(outputs.logits, expected.logits, rtol=1e-5)
  # A run that goes on takes its own network with adapters.
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here),
    run.state.student,
  )
  _same(networks.load(tmp_path, 'best', like), run.state.student)


def test_the_base_of_a_start_that_stored_nothing_is_replaced(tmp_path):
  rule = adapters.Rule('lora', 2, 2.0, ('fc1/kernel$',))

  def keep(seed):
    """The arrays of a start from other weights."""
    plain = _network().init(jax.random.key(seed), (8, 8))
    params = adapters.adapt(rule, plain.params, jax.random.key(2))
    base, _ = adapted.keep(tmp_path, plain._replace(params=params), rule)
    return base.arrays, plain.params['backbone']['blocks']['0']['mlp']['fc1']

  first, _ = keep(0)
  second, layer = keep(1)
  kernel = next(name for name in second if name.endswith('kernel'))
  np.testing.assert_array_equal(second[kernel], layer['kernel'])
  assert np.any(first[kernel] != second[kernel])
  (tmp_path / 'best/0').mkdir(parents=True)
  resumed, _ = keep(0)
  np.testing.assert_array_equal(resumed[kernel], second[kernel])
  content = (tmp_path / adapted.FILE).read_bytes()
  (tmp_path / adapted.FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
  with pytest.raises(ValueError, match='base.safetensors: .*is damaged; put'):
    keep(0)
  (tmp_path / adapted.FILE).unlink()
  with pytest.raises(ValueError, match='base.safetensors: .*put the file back'):
    keep(0)


def test_the_base_of_another_network_is_one_line(tmp_path, monkeypatch):
  run = _Run(tmp_path, monkeypatch)
  (tmp_path / 'checkpoints/1').mkdir(parents=True)
  rule = adapters.Rule('soma', 2, 2.0, ('fc1/kernel$',))
  params = run.plain.params
  other = params | {
    'backbone': params['backbone'] | {'new': {'x': jnp.ones(2)}}
  }
  other = adapters.adapt(rule, other, jax.random.key(0))
  with pytest.raises(ValueError, match='base.safetensors: expected') as error:
    adapted.keep(tmp_path, types.Variables(other, {}), rule)
  assert '\n' not in str(error.value)
