"""Names and layouts of PyTorch, there and back."""

import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import ml_dtypes
import numpy as np
import pytest

from uda_jax import models
from uda_jax import types
from uda_jax.models import lite_weights
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import state_dict

GOLDEN = pathlib.Path(__file__).parent.parent / 'golden'
DEEPLAB = dict(
  stem=4,
  planes=(2, 2, 3, 4),
  blocks=(1, 2, 1, 1),
  aspp_branches=2,
  aux_head=True,
  remat=False,
  class_rows=(),
  resnet='caffe',
)
COMMON = dict(
  allow_target_labels=False,
  new_classifier=False,
  in_channels=3,
  dtype='float32',
  heads=(),
)
HEADS = (('proj', 'features', 4), ('project', 'fused', 4))


def _config(name, path='', **fields):
  return ml_collections.ConfigDict(
    {'model': COMMON | dict(name=name, weights=str(path)) | fields}
  )


def _variables(config, seed, num_classes=5):
  """Variables at random, without the compilation that a draw costs."""
  network = models.build(config, num_classes)
  random = np.random.default_rng(seed)
  shapes = jax.eval_shape(
    lambda key: network.init(key, (32, 32)), jax.random.key(0)
  )
  return jax.tree.map(
    lambda x: jnp.asarray(random.normal(size=x.shape), x.dtype), shapes
  )


def _assert_equal(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
  ('config', 'name_of'),
  [
    (_config('compact'), state_dict.dotted),
    (_config('deeplab_v2', **DEEPLAB), state_dict.dotted),
    (
      _config('efficientnet_lite0', width=8, dropout=0.0, heads=HEADS),
      lite_weights.whole_name,
    ),
  ],
  ids=['compact', 'deeplab_v2', 'efficientnet_lite0'],
)
def test_round_trip_is_bit_equal(config, name_of):
  variables, other = _variables(config, 0), _variables(config, 1)
  tensors = state_dict.export(variables, name_of)
  assert len(tensors) == len(jax.tree.leaves(variables))
  tensors |= {'bn1.num_batches_tracked': np.int64(3)}
  loaded, count = state_dict.load(tensors, other, name_of)
  assert count == len(tensors) - 1
  _assert_equal(loaded, variables)


def test_layouts():
  variables = types.Variables(
    {
      'conv': {'kernel': np.arange(24.0).reshape(1, 2, 3, 4)},
      'depthwise': {'kernel': np.arange(18.0).reshape(3, 3, 1, 2)},
      'linear': {'kernel': np.arange(6.0).reshape(2, 3), 'bias': np.ones(3)},
      'norm': {'scale': np.zeros(2), 'bias': np.ones(2)},
    },
    {'norm': {'mean': np.full(2, 3.0), 'var': np.full(2, 4.0)}},
  )
  tensors = state_dict.export(variables)
  assert {k: v.shape for k, v in tensors.items()} == {
    'conv.weight': (4, 3, 1, 2),
    'depthwise.weight': (2, 1, 3, 3),
    'linear.weight': (3, 2),
    'linear.bias': (3,),
    'norm.weight': (2,),
    'norm.bias': (2,),
    'norm.running_mean': (2,),
    'norm.running_var': (2,),
  }
  kernel = variables.params['conv']['kernel']
  assert tensors['conv.weight'][3, 2, 0, 1] == kernel[0, 1, 2, 3]
  assert tensors['norm.running_var'][0] == 4
  assert tensors['norm.weight'][0] == 0


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda x: x.astype(np.int8), 'floating-point type, got int8; quantized'),
    (lambda x: x * np.float32('nan'), 'got 6 of 6 that are none'),
    (lambda x: x + np.float32('inf'), 'got 6 of 6 that are none'),
  ],
)
def test_values_that_are_no_weights_are_refused(change, words):
  like = types.Variables(
    {'linear': {'kernel': np.ones((2, 3), np.float32)}}, {}
  )
  tensors = state_dict.export(like)
  tensors['linear.weight'] = change(tensors['linear.weight'])
  with pytest.raises(ValueError, match='a.pth: linear.weight: .*') as error:
    state_dict.load(tensors, like, source='a.pth')
  assert words in str(error.value) and '\n' not in str(error.value)
  # Half precision is read.
  tensors['linear.weight'] = np.ones((3, 2), ml_dtypes.bfloat16)
  state_dict.load(tensors, like)


def test_every_mismatch_is_reported_at_once():
  variables = _variables(_config('deeplab_v2', **DEEPLAB), 0)
  tensors = state_dict.export(variables)
  del tensors['layer1.0.bn2.running_var']
  tensors['conv1.weight'] = tensors['conv1.weight'][:, :1]
  tensors['fc.weight'] = np.zeros((10, 4))
  with pytest.raises(ValueError) as error:
    state_dict.load(tensors, variables, source='some.pth')
  text = str(error.value)
  assert text.startswith(
    'some.pth does not fit the network: 3 tensors differ, '
  )
  assert 'conv1.weight: expected (4, 3, 7, 7), got (4, 1, 7, 7)' in text
  assert 'layer1.0.bn2.running_var (2,) is missing' in text
  assert 'fc.weight (10, 4) is unexpected' in text
  assert '\n' not in text


def test_a_file_of_another_network_is_called_so():
  variables = _variables(_config('deeplab_v2', **DEEPLAB), 0)
  tensors = {'block1.0.norm1.weight': np.ones(4), 'head.bias': np.ones(4)}
  with pytest.raises(state_dict.MisfitError) as error:
    state_dict.load(tensors, variables, source='mit.pth')
  count = len(state_dict.export(variables))
  assert str(error.value) == (
    f'mit.pth is of another network: it has none of the {count} tensors that '
    'config.model takes, such as bn1.bias, but 2 others, such as '
    'block1.0.norm1.weight'
  )


def test_dtype_is_the_networks():
  variables = types.Variables({'a': {'bias': jnp.zeros(2, jnp.float32)}}, {})
  loaded, _ = state_dict.load({'a.bias': np.ones(2, np.float16)}, variables)
  assert loaded.params['a']['bias'].dtype == jnp.float32


def test_names_and_shapes_of_the_released_resnet101():
  config = _config(
    'deeplab_v2',
    stem=64,
    planes=(64, 128, 256, 512),
    blocks=(3, 4, 23, 3),
    aspp_branches=2,
    aux_head=True,
    remat=False,
    resnet='caffe',
    class_rows=(),
  )
  network = models.build(config, 19)
  shapes = jax.eval_shape(
    lambda key: network.init(key, (65, 65)), jax.random.key(0)
  )
  assert sum(x.size for x in jax.tree.leaves(shapes.params)) == 44_601_560
  ours = state_dict.export(
    jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
  )
  table = np.load(GOLDEN / 'pixmatch' / 'param_table.npz')
  expected = {
    str(n)
    for n in table['state_keys']
    if not str(n).endswith(state_dict.COUNTER)
  }
  assert set(ours) == expected
  for name, shape in zip(table['names'], table['shapes'], strict=True):
    assert str(ours[str(name)].shape) == str(shape)


def _write(path, tensors):
  safetensors.write(path, tensors)
  return path


def test_whole_deeplab_files(tmp_path):
  variables = _variables(_config('deeplab_v2', **DEEPLAB), 0)
  tensors = state_dict.export(variables)
  path = tmp_path / 'deeplab.safetensors'
  unused = ('proto_classifier.weight', 'para', 'fuse_weight_1')
  extra = {name: np.zeros(1, np.float32) for name in unused}
  for prefix, more, part in (
    ('', extra, ''),
    ('module.', {}, ''),
    ('state_dict/module.', {'shadow/x': np.ones(2)}, '#state_dict'),
  ):
    _write(path, {prefix + n: x for n, x in tensors.items()} | more)
    config = _config('deeplab_v2', f'{path}{part}', **DEEPLAB)
    loaded = models.build(config, 5).init(jax.random.key(1), (32, 32))
    _assert_equal(loaded, variables)


def test_imagenet_file_gives_the_backbone(tmp_path):
  tensors = state_dict.export(
    _variables(_config('deeplab_v2', **DEEPLAB), 0, num_classes=21)
  )
  path = _write(
    tmp_path / 'init.safetensors',
    {f'Scale.{n}': x for n, x in tensors.items() if not n.startswith('layer6')},
  )
  config = _config('deeplab_v2', path, **DEEPLAB)
  fresh = models.build(_config('deeplab_v2', **DEEPLAB), 5).init(
    jax.random.key(1), (32, 32)
  )
  loaded = models.build(config, 5).init(jax.random.key(1), (32, 32))
  for head in ('layer5', 'layer6'):
    _assert_equal(loaded.params[head], fresh.params[head])
  backbone = state_dict.export(loaded)
  for name, tensor in tensors.items():
    if not name.startswith(('layer5', 'layer6')):
      np.testing.assert_array_equal(backbone[name], tensor)
  origin = models.provenance(config)
  assert origin.loaded == len(
    [n for n in backbone if not n.startswith(('layer5', 'layer6'))]
  )


def test_compact_comes_back_from_a_file(tmp_path):
  variables = _variables(_config('compact'), 0)
  path = _write(tmp_path / 'a.safetensors', state_dict.export(variables))
  config = _config('compact', path)
  _assert_equal(
    models.build(config, 5).init(jax.random.key(1), (32, 32)), variables
  )
  with pytest.raises(
    ValueError,
    match=r'a\.safetensors: classifier\.weight: expected \(7, 32, 1, 1\), got '
    r'\(5, 32, 1, 1\).*config\.model\.new_classifier=True',
  ):
    models.build(config, 7).init(jax.random.key(1), (32, 32))


def test_no_weights_no_provenance():
  assert models.provenance(_config('compact')) is None
