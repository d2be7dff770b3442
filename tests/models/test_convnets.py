"""FCN-8s on VGG-16, mmseg's ResNets, and DeepLab's head on them."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from configs import convnets
from uda_jax import models
from uda_jax.models import deeplab_v2
from uda_jax.models import fcn8s_vgg
from uda_jax.models.weights import torch_names

NUM_CLASSES = 5
SIZE = (20, 33)


def _fcn8s(**changes):
  config = convnets.fcn8s_vgg()
  config.update(widths=(2, 2, 2, 2, 3), fc_width=4, **changes)
  return ml_collections.ConfigDict({'model': config})


def _shapes(network):
  return jax.eval_shape(
      lambda key: network.init(key, SIZE), jax.random.key(0))


def _noise(shapes, seed=0):
  """Variables at random, without the compilation that a draw costs."""
  random = np.random.default_rng(seed)
  return jax.tree.map(
      lambda x: jnp.asarray(random.uniform(0.1, 0.3, x.shape), x.dtype),
      shapes)


def _image(dtype=np.float32):
  return np.random.default_rng(0).normal(size=(2, *SIZE, 3)).astype(dtype)


def _count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def test_fcn8s_at_full_size():
  """LSE's numbers of parameters and its sizes of maps."""
  config = ml_collections.ConfigDict({'model': convnets.fcn8s_vgg()})
  network = models.build(config, 19)
  net = _shapes(network)
  assert _count(net) == 134_456_985
  for size, sizes in (
      ((512, 1024), [(355, 611), (178, 306), (89, 153), (45, 77), (23, 39)]),
      ((721, 1280), [(460, 739), (230, 370), (115, 185), (58, 93), (29, 47)])):
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    outputs, _ = jax.eval_shape(network.forward, *net, image)
    assert outputs.logits.shape == (1, *size, 19)
    assert [x.shape[1:3] for x in outputs.features] == sizes


@pytest.mark.parametrize(('dtype', 'stored'), [
    ('bfloat16', 'float32'), ('float64', 'float64')])
def test_fcn8s_dtypes(dtype, stored):
  with jax.enable_x64(dtype == 'float64'):
    network = models.build(_fcn8s(dtype=dtype), NUM_CLASSES)
    net = _shapes(network)
    image = jax.ShapeDtypeStruct((1, *SIZE, 3), jnp.dtype(stored))
    outputs, _ = jax.eval_shape(network.forward, *net, image)
  wide = {str(x.dtype) for x in jax.tree.leaves((net, outputs.logits))}
  assert wide == {stored}
  assert {str(x.dtype) for x in outputs.features} == {dtype}


def test_fcn8s_gradients_and_dropout():
  network = models.build(_fcn8s(), NUM_CLASSES)
  net = _noise(_shapes(network))

  @jax.jit
  def run(params, key):
    def loss(params):
      logits = network.forward(params, {}, _image(), key=key)[0].logits
      return jnp.mean(logits ** 2), logits
    return jax.grad(loss, has_aux=True)(params)

  gradients, first = run(net.params, jax.random.key(1))
  _, second = run(net.params, jax.random.key(2))
  assert first.shape == (2, *SIZE, NUM_CLASSES)
  assert not np.array_equal(first, second)
  for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
    assert np.isfinite(leaf).all() and np.any(leaf), path


def test_fcn8s_starts_with_scores_of_zero_and_bilinear_enlargement():
  network = models.build(_fcn8s(), NUM_CLASSES)
  params = network.init(jax.random.key(0), SIZE).params
  for name, leaves in params.items():
    kernel = np.asarray(leaves['kernel'])
    if name.startswith('upscore'):
      np.testing.assert_array_equal(kernel[..., 0, 1], 0)
      np.testing.assert_allclose(kernel.sum((0, 1)), np.eye(NUM_CLASSES)
                                 * (len(kernel) // 2) ** 2)
    else:
      assert np.any(kernel) != name.startswith('score'), name


@pytest.mark.parametrize('stride', [2, 3])
def test_transposed_conv_adds_a_kernel_for_every_pixel(stride):
  size = 2 * stride
  random = np.random.default_rng(0)
  x = random.normal(size=(2, 3, 4, 2))
  kernel = random.normal(size=(size, size, 3, 2))
  expected = np.zeros((2, 4 * stride, 5 * stride, 3))
  for i, j in np.ndindex(3, 4):
    rows = slice(i * stride, i * stride + size)
    cols = slice(j * stride, j * stride + size)
    expected[:, rows, cols] += np.einsum('bi,hwoi->bhwo', x[:, i, j], kernel)
  with jax.enable_x64(True):
    module = fcn8s_vgg.TransposedConv(3, stride, jnp.float64)
    ours = module.apply({'params': {'kernel': jnp.asarray(kernel)}}, x)
  np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


def test_bilinear_kernel_enlarges_a_ramp_to_a_ramp():
  stride = 4
  kernel = fcn8s_vgg.bilinear_kernel(2 * stride, 1)
  ramp = np.broadcast_to(np.arange(6.0)[:, None, None], (1, 6, 6, 1))
  module = fcn8s_vgg.TransposedConv(1, stride)
  ours = module.apply({'params': {'kernel': jnp.asarray(kernel, 'f')}},
                      jnp.asarray(ramp, 'f'))
  inner = ours[0, stride:-stride, 3 * stride, 0]
  np.testing.assert_allclose(np.diff(inner)[2:-2], 1 / stride, rtol=1e-5)


def _torchvision(shapes):
  """A file of VGG-16 in torchvision's layout."""
  random = np.random.default_rng(3)
  tensors = {}
  for ours, theirs in fcn8s_vgg.TORCHVISION.items():
    height, width, inputs, outputs = shapes[ours]['kernel'].shape
    shape = (outputs, inputs, height, width)
    if theirs.startswith('classifier'):
      shape = (outputs, inputs * height * width)
    tensors[f'{theirs}.weight'] = random.normal(size=shape)
    tensors[f'{theirs}.bias'] = random.normal(size=outputs)
  return tensors | {'classifier.6.weight': np.zeros((10, 4)),
                    'classifier.6.bias': np.zeros(10)}


def test_torchvision_weights():
  like = _noise(_shapes(models.build(_fcn8s(), NUM_CLASSES)))
  tensors = _torchvision(like.params)
  chosen, name_of = fcn8s_vgg.choose(tensors, trained_on='IMAGENET')
  net, count = torch_names.load(chosen, like, name_of)
  assert count == 30
  # A dense layer's inputs are its map in the order channel, row, column.
  x = np.random.default_rng(4).normal(size=(7, 7, 3))
  ours = np.einsum('hwi,hwio->o', x, net.params['fc6']['kernel'])
  theirs = tensors['classifier.0.weight'] @ x.transpose(2, 0, 1).reshape(-1)
  np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
  # The rest of the network keeps its own values.
  np.testing.assert_array_equal(net.params['score_fr']['kernel'],
                                like.params['score_fr']['kernel'])
  with pytest.raises(ValueError, match=r'config\.model\.preprocessing.*CAFFE'):
    fcn8s_vgg.choose(tensors, trained_on='CAFFE')


def test_released_fcn8s_round_trip():
  net = _noise(_shapes(models.build(_fcn8s(), NUM_CLASSES)))
  tensors = torch_names.export(net)
  assert len(tensors) == 39
  assert tensors['upscore8.weight'].shape == (NUM_CLASSES, NUM_CLASSES, 16, 16)
  chosen, name_of = fcn8s_vgg.choose(tensors, trained_on='CAFFE')
  loaded, _ = torch_names.load(
      chosen, jax.tree.map(jnp.zeros_like, net), name_of)
  jax.tree.map(np.testing.assert_array_equal, loaded, net)


def test_unknown_preprocessing_is_named():
  with pytest.raises(ValueError, match=r"preprocessing: got 'BGR'.*CAFFE"):
    models.build(_fcn8s(preprocessing='BGR'), NUM_CLASSES)


def test_class_rows_cut_the_classifiers_only():
  tensors = {'conv1.weight': np.zeros((19, 3, 7, 7)),
             'layer6.conv2d_list.0.bias': np.arange(19.0)}
  chosen, _ = deeplab_v2.choose(tensors, class_rows=(3, 1))
  assert chosen['conv1.weight'].shape == (19, 3, 7, 7)
  np.testing.assert_array_equal(chosen['layer6.conv2d_list.0.bias'], [3, 1])
