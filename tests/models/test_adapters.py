"""Low-rank adapters of the encoders' dense layers, as parameter trees."""

import re

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax.configs.blocks import common
from uda_jax.models import adapters
from uda_jax.models import convnext
from uda_jax.models import dinov2
from uda_jax.models import dinov3
from uda_jax.models import eva02
from uda_jax.models import mix_transformer
from uda_jax.models import vit_adapter

LAYERS = tuple(common.low_rank().layers)
ENCODERS = {
  'vit': dinov2.DINOv2(16, 4, 8, grid=2, mask_token=True),
  'mit': mix_transformer.MixTransformer((8, 8, 20, 16), (1, 1, 1, 1)),
  'vit_adapter': vit_adapter.DINOv2Adapter(8, 4, 8, grid=2, stem_width=2),
}


def _params(name):
  """Random parameters of an encoder and a head, without compiling."""
  shapes = jax.eval_shape(
    lambda key: ENCODERS[name].init(
      key,
      jnp.zeros((1, 32, 32, 3)),
      use_running_average=True,
      deterministic=True,
    ),
    jax.random.key(0),
  )['params']
  random = np.random.default_rng(0)
  head = {'out': {'kernel': jax.ShapeDtypeStruct((1, 1, 8, 3), np.float32)}}
  return jax.tree.map(
    lambda x: jnp.asarray(random.normal(size=x.shape), jnp.float32),
    {'backbone': shapes, 'decode_head': head},
  )


def _rule(kind='soma', rank=3, alpha=3.0, layers=LAYERS):
  return adapters.Rule(kind, rank, alpha, layers)


def _paths(tree):
  return {
    '/'.join(key.key for key in path): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


@pytest.mark.parametrize('kind', ['soma', 'lora'])
@pytest.mark.parametrize('name', ENCODERS)
def test_the_start_is_the_pretrained_network(name, kind):
  params, rule = _params(name), _rule(kind, alpha=1.5)
  adapted = adapters.adapt(rule, params, jax.random.key(0))
  assert adapters.is_adapted(adapted) and not adapters.is_adapted(params)
  merged = adapters.merged(adapted, rule.scale)
  assert jax.tree.structure(merged) == jax.tree.structure(params)
  for new, old in zip(jax.tree.leaves(merged), jax.tree.leaves(params)):
    if kind == 'lora':
      np.testing.assert_array_equal(new, old)
    np.testing.assert_allclose(new, old, atol=2e-5)
  # Plain parameters pass through.
  jax.tree.map(
    np.testing.assert_array_equal, adapters.merged(params, 7.0), params
  )


@pytest.mark.parametrize(
  'module',
  [
    dinov2.DINOv2(16, 4, 8, grid=2),
    dinov3.DINOv3(16, 4, 8),
    eva02.EVA02(16, 4, 8, grid=2),
    convnext.ConvNeXt((4, 4, 4, 4), (1, 1, 1, 1)),
  ],
)
def test_the_patterns_name_all_dense_layers(module):
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3))
  )['params']
  dense = {
    name
    for name, x in _paths({'backbone': shapes}).items()
    if name.endswith('/kernel') and x.ndim == 2
  }
  assert dense
  for name in dense:
    assert any(re.search(pattern, name) for pattern in LAYERS), name


def test_a_layer_with_its_adapters_beside_it_is_the_merged_one():
  params, rule = _params('vit'), _rule(alpha=6.0)
  adapted = adapters.adapt(rule, params, jax.random.key(0))
  layer = adapted['backbone']['blocks']['2']['attn']['qkv']
  layer['lora_b'] = layer['lora_b'] + 0.3
  x = jax.random.normal(jax.random.key(1), (5, 16))
  # Query, key and value have matrices of their own.
  parts = [(x @ a.T) @ b.T for a, b in zip(layer['lora_a'], layer['lora_b'])]
  beside = x @ layer['kernel'] + rule.scale * jnp.concatenate(parts, -1)
  merged = adapters.merged(adapted, rule.scale)
  kernel = merged['backbone']['blocks']['2']['attn']['qkv']['kernel']
  np.testing.assert_allclose(x @ kernel, beside, rtol=1e-3, atol=1e-3)
  assert 'lora_a' in layer  # The given tree is left alone.


def test_soma_takes_the_smallest_singular_values_of_each_matrix():
  params = _params('vit')
  adapted = adapters.adapt(_rule(rank=2, alpha=2.0), params, jax.random.key(0))
  names = ('backbone', 'blocks', '0', 'attn', 'qkv')
  old, new = params, adapted
  for name in names:
    old, new = old[name], new[name]
  for i in range(3):
    kernel = np.asarray(old['kernel'])[:, 16 * i : 16 * (i + 1)]
    values = np.linalg.svd(kernel, compute_uv=False)
    product = np.asarray(new['lora_b'][i] @ new['lora_a'][i])
    taken = np.linalg.svd(product, compute_uv=False)[:2]
    np.testing.assert_allclose(taken, values[-2:], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('kind', ['soma', 'lora'])
def test_what_trains(kind):
  rule = _rule(kind, layers=('blocks/3/.*(qkv|fc1)/kernel$',))
  adapted = adapters.adapt(rule, _params('vit'), jax.random.key(0))
  trains = {
    name for name, on in _paths(adapters.trained(rule, adapted)).items() if on
  }
  layers = ('attn/qkv', 'mlp/fc1')
  own = ('lora_a', 'lora_b') + ('bias',) * (kind == 'soma')
  expected = {
    f'backbone/blocks/3/{layer}/{name}' for layer in layers for name in own
  }
  assert trains == expected | {
    'backbone/mask_token',
    'decode_head/out/kernel',
  }


def test_the_new_parts_of_a_vit_adapter_train_whole():
  rule = _rule()
  adapted = adapters.adapt(rule, _params('vit_adapter'), jax.random.key(0))
  trains = _paths(adapters.trained(rule, adapted))
  for name, on in trains.items():
    part = name.split('/')[1]
    new = part in ('level_embed', 'spm', 'interactions', 'up') or (
      part.startswith('norm') and name.startswith('backbone/norm')
    )
    if new:
      assert on and 'lora' not in name, name
  assert not trains['backbone/blocks/0/attn/qkv/kernel']


def test_convolutions_have_no_adapters():
  adapted = adapters.adapt(_rule(), _params('mit'), jax.random.key(0))
  names = {n for n in _paths(adapted) if n.endswith('lora_a')}
  assert names and not any('patch_embed' in name for name in names)
  assert {name.split('/')[-2] for name in names} == {
    *('q', 'kv', 'proj', 'fc1', 'fc2')
  }


@pytest.mark.parametrize(
  ('rule', 'message'),
  [
    (_rule(rank=17), r'low_rank\.rank: expected at most 16, .*got 17'),
    (_rule(layers=('nothing',)), r"low_rank\.layers: .*'nothing'"),
    (_rule(layers=('patch_embed/proj',)), r'low_rank\.layers: .*two axes'),
  ],
)
def test_what_does_not_fit_is_one_line(rule, message):
  with pytest.raises(ValueError, match=message) as error:
    adapters.adapt(rule, _params('vit'), jax.random.key(0))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    (dict(adapters='dora'), r"adapters: expected one of '', .*'dora'"),
    (dict(rank=0), r'low_rank\.rank: expected a whole number, 1'),
    (dict(alpha=0.0), r'low_rank\.alpha: expected a number above 0'),
    (dict(layers=('(',)), r'low_rank\.layers: expected regular'),
  ],
)
def test_a_wrong_field_is_one_line(fields, message):
  config = ml_collections.ConfigDict(
    dict(adapters='soma', low_rank=common.low_rank())
  )
  assert adapters.rule(config).scale == 1.0
  block = config if 'adapters' in fields else config.low_rank
  with block.ignore_type():
    block.update(fields)
  with pytest.raises(ValueError, match=message) as error:
    adapters.rule(config)
  assert '\n' not in str(error.value)
