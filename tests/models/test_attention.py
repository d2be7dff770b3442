"""Attention in blocks against the formula, and which one a run takes."""

import types

import jax
from jax.experimental.pallas import tpu as pallas_tpu
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax import configs
from uda_jax import models
from uda_jax.models import attention

LONG = 6401  # tokens of DINOv2 at 1120 x 1120


def _inputs(queries, keys, heads, dtype='float64'):
  random = np.random.default_rng(0)
  shapes = (queries, keys, keys)
  return [random.normal(size=(2, n, heads, 4)).astype(dtype) for n in shapes]


def _formula(query, key, value):
  """Softmax of scaled products, a head and an image at a time."""
  result = np.zeros_like(query)
  for i, h in np.ndindex(query.shape[0], query.shape[2]):
    scores = query[i, :, h] @ key[i, :, h].T / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(1, keepdims=True))
    result[i, :, h] = weights / weights.sum(1, keepdims=True) @ value[i, :, h]
  return result


@pytest.mark.parametrize(
  ('queries', 'keys', 'heads', 'pairs'),
  [
    (67, 67, 3, 1000),  # blocks of 14: the last has two rows of padding
    (16, 5, 2, 20),  # whole blocks, few keys
    (7, 11, 1, 1000),  # one block
    (5, 9, 1, 1),  # a query a block
    (1, 13, 2, 13),
  ],
)
def test_blocks_give_the_same_value_and_gradient(queries, keys, heads, pairs):
  with jax.enable_x64(True):
    inputs = [jnp.asarray(x) for x in _inputs(queries, keys, heads)]
    weight = jnp.cos(jnp.arange(inputs[0].size)).reshape(inputs[0].shape)

    def loss(form):
      value_of = lambda *args: jnp.sum(weight * form(*args))
      return jax.jit(jax.value_and_grad(value_of, (0, 1, 2)))(*inputs)

    in_blocks = lambda *args: attention.blockwise(*args, pairs=pairs)
    np.testing.assert_allclose(
      in_blocks(*inputs), _formula(*map(np.asarray, inputs)), rtol=1e-10
    )
    ours, expected = loss(in_blocks), loss(attention.plain)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12),
      ours,
      expected,
    )


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_blocks_have_the_precision_of_plain_attention(dtype):
  inputs = [jnp.asarray(x, dtype) for x in _inputs(30, 20, 2, 'float32')]
  ours = attention.blockwise(*inputs, pairs=100)
  assert ours.dtype == dtype
  plain = attention.plain(*inputs)
  np.testing.assert_allclose(
    ours.astype('f'), plain.astype('f'), rtol=1e-5, atol=1e-6
  )


def _temporary_bytes(form, length):
  """Memory of a forward and backward pass, as the compiler plans it."""
  x = jax.ShapeDtypeStruct((1, length, 1, 8), jnp.float32)
  loss = lambda *args: jnp.sum(form(*args) ** 2)
  compiled = jax.jit(jax.grad(loss, (0, 1, 2))).lower(x, x, x).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def test_blocks_never_keep_all_pairs():
  all_pairs = 4 * LONG**2
  assert _temporary_bytes(attention.plain, LONG) > all_pairs
  in_blocks = _temporary_bytes(attention.attend, LONG)
  assert in_blocks < 0.2 * all_pairs, in_blocks
  # Not with the square of the length, and hardly with the length.
  assert _temporary_bytes(attention.attend, 2 * LONG) < 1.5 * in_blocks


def test_short_attention_is_plain_to_the_last_bit():
  inputs = [jnp.asarray(x) for x in _inputs(40, 2048, 1, 'float32')]
  lower = lambda form: jax.jit(form).lower(*inputs).as_text()
  attend = lambda *args: attention.attend(*args)
  plain = lambda *args: attention.plain(*args)
  assert lower(attend).replace('attend', '') == lower(plain).replace(
    'plain', ''
  )
  assert attention.Rule().choose(2048) == 'plain'
  assert attention.Rule().choose(2049) == 'blockwise'


def _model(**fields):
  return ml_collections.ConfigDict(
    dict(attention='auto', dtype='float32') | fields
  )


def _card(monkeypatch, capability):
  card = types.SimpleNamespace(compute_capability=capability)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  monkeypatch.setattr(jax, 'local_devices', lambda: [card])


@pytest.mark.parametrize(
  ('capability', 'dtype', 'long'),
  [
    ('8.6', 'bfloat16', 'cudnn'),
    ('10.0', 'bfloat16', 'cudnn'),
    ('8.6', 'float32', 'blockwise'),
    ('7.5', 'bfloat16', 'blockwise'),
  ],
)
def test_the_rule_of_a_card(monkeypatch, capability, dtype, long):
  _card(monkeypatch, capability)
  rule = attention.rule(_model(dtype=dtype))
  assert (rule.choose(1370), rule.choose(LONG)) == ('plain', long)
  config = _model(dtype=dtype)
  assert attention.describe(config) == f'plain up to 2048 keys, beyond {long}'
  config.attention = 'cudnn'
  if long == 'cudnn':
    assert attention.rule(config).choose(5) == 'cudnn'
  else:
    with pytest.raises(ValueError, match='cudnn.* needs an NVIDIA card'):
      attention.rule(config)


@pytest.mark.parametrize(('queries', 'keys'), [(4, 6), (5, 7), (4, 7), (5, 6)])
def test_cudnn_is_asked_for_its_kernel_at_even_lengths(
  monkeypatch, queries, keys
):
  xla, asked = jax.nn.dot_product_attention, []

  def kernel(query, key, value, *, implementation, **lengths):
    asked.append((implementation, query.shape[1] % 2, key.shape[1] % 2))
    return xla(query, key, value, implementation='xla', **lengths)

  args = _inputs(queries, keys, 1, 'float32')
  expected = attention.attend(*args, rule=attention.Rule('plain', above=0))
  monkeypatch.setattr(jax.nn, 'dot_product_attention', kernel)
  got = attention.attend(*args, rule=attention.Rule('cudnn', above=0))
  assert asked == [('cudnn', 0, 0)]
  np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_a_tpu_has_a_fused_kernel_in_16_bits(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  assert attention.rule(_model(dtype='bfloat16')).choose(LONG) == 'pallas'
  assert attention.rule(_model(dtype='float32')).choose(LONG) == 'blockwise'
  with pytest.raises(ValueError, match='pallas.* needs a TPU.*float32'):
    attention.rule(_model(attention='pallas'))


def test_programs_of_absent_devices_have_their_kernel():
  with attention.traced_as('pallas'):
    assert attention.rule(_model(dtype='bfloat16')).choose(LONG) == 'pallas'
  assert attention.rule(_model(dtype='bfloat16')).choose(LONG) == 'blockwise'


def test_the_kernel_of_tpus_is_plain_attention(monkeypatch):
  """With lengths that are no multiple of a block, mapped over groups."""
  monkeypatch.setattr(attention, 'PALLAS_BLOCK', 128)
  args = [x[:1] for x in _inputs(130, 150, 1, 'float32')]
  weights = jax.random.normal(jax.random.key(1), args[0].shape)

  def both(attend):
    loss = lambda args: (attend(*args) * weights).sum()
    return jax.vmap(jax.value_and_grad(loss))([x[None] for x in args])

  with pallas_tpu.force_tpu_interpret_mode():
    got = both(attention.pallas)
  for x, y in zip(
    jax.tree.leaves(got), jax.tree.leaves(both(attention.plain)), strict=True
  ):
    np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  ('encoder', 'queries', 'keys'),
  [('mit_b0', 280**2, 35**2), ('dinov2_s', LONG, LONG)],
)
def test_transformers_take_the_rule_of_the_config(encoder, queries, keys):
  """The products of all pairs are in no program with 'blockwise'."""
  config = configs.load('gta5_to_cityscapes/daformer')
  config.model.update(weights='', encoder=encoder, attention='blockwise')
  network = models.build(config, 3)
  image = jax.ShapeDtypeStruct((1, 1120, 1120, 3), jnp.float32)
  variables = jax.eval_shape(lambda: network.init(jax.random.key(0), (64, 64)))
  text = str(jax.make_jaxpr(network.forward)(*variables, image))
  assert f'{queries},{keys}]' not in text
  assert f',{keys}]' in text
