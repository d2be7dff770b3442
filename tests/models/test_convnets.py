"""FCN-8s on VGG-16, mmseg's ResNets, and DeepLab's head on them."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax import models
from uda_jax import types
from uda_jax.configs.blocks import convnets
from uda_jax.models import deeplab_v2
from uda_jax.models import fcn8s_vgg
from uda_jax.models import resnet_v1c
from uda_jax.models.weights import state_dict
from uda_jax.models.weights import vgg_names

NUM_CLASSES = 5
SIZE = (20, 33)


def _fcn8s(**changes):
  config = convnets.fcn8s_vgg()
  config.update(widths=(2, 2, 2, 2, 3), fc_width=4, **changes)
  return ml_collections.ConfigDict({'model': config})


def _shapes(network):
  return jax.eval_shape(lambda key: network.init(key, SIZE), jax.random.key(0))


def _noise(shapes, seed=0):
  """Variables at random, without the compilation that a draw costs."""
  random = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jnp.asarray(random.uniform(0.1, 0.3, x.shape), x.dtype), shapes
  )


def _image(dtype=np.float32):
  return np.random.default_rng(0).normal(size=(2, *SIZE, 3)).astype(dtype)


def _count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def test_fcn8s_at_full_size():
  """LSE's numbers of parameters and its sizes of maps."""
  config = ml_collections.ConfigDict({'model': convnets.fcn8s_vgg()})
  network = models.build(config, 19)
  variables = _shapes(network)
  assert _count(variables) == 134_456_985
  for size, sizes in (
    ((512, 1024), [(355, 611), (178, 306), (89, 153), (45, 77), (23, 39)]),
    ((721, 1280), [(460, 739), (230, 370), (115, 185), (58, 93), (29, 47)]),
  ):
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    outputs, _ = jax.eval_shape(network.forward, *variables, image)
    assert outputs.logits.shape == (1, *size, 19)
    assert [x.shape[1:3] for x in outputs.features] == sizes


@pytest.mark.parametrize(
  ('dtype', 'stored'), [('bfloat16', 'float32'), ('float64', 'float64')]
)
def test_fcn8s_dtypes(dtype, stored):
  with jax.enable_x64(dtype == 'float64'):
    network = models.build(_fcn8s(dtype=dtype), NUM_CLASSES)
    variables = _shapes(network)
    image = jax.ShapeDtypeStruct((1, *SIZE, 3), jnp.dtype(stored))
    outputs, _ = jax.eval_shape(network.forward, *variables, image)
  wide = {str(x.dtype) for x in jax.tree.leaves((variables, outputs.logits))}
  assert wide == {stored}
  assert {str(x.dtype) for x in outputs.features} == {dtype}


def test_fcn8s_gradients_and_dropout():
  network = models.build(_fcn8s(), NUM_CLASSES)
  variables = _noise(_shapes(network))

  @jax.jit
  def run(params, key):
    def loss(params):
      logits = network.forward(params, {}, _image(), key=key)[0].logits
      return jnp.mean(logits**2), logits

    return jax.grad(loss, has_aux=True)(params)

  gradients, first = run(variables.params, jax.random.key(1))
  _, second = run(variables.params, jax.random.key(2))
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
      np.testing.assert_allclose(
        kernel.sum((0, 1)), np.eye(NUM_CLASSES) * (len(kernel) // 2) ** 2
      )
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
  ours = module.apply(
    {'params': {'kernel': jnp.asarray(kernel, 'f')}}, jnp.asarray(ramp, 'f')
  )
  inner = ours[0, stride:-stride, 3 * stride, 0]
  np.testing.assert_allclose(np.diff(inner)[2:-2], 1 / stride, rtol=1e-5)


def _torchvision(shapes):
  """A file of VGG-16 in torchvision's layout."""
  random = np.random.default_rng(3)
  tensors = {}
  for theirs, ours in vgg_names.VGG16:
    theirs, ours = (n.removesuffix('.{*}') for n in (theirs, ours))
    height, width, inputs, outputs = shapes[ours]['kernel'].shape
    shape = (outputs, inputs, height, width)
    if theirs.startswith('classifier'):
      shape = (outputs, inputs * height * width)
    tensors[f'{theirs}.weight'] = random.normal(size=shape)
    tensors[f'{theirs}.bias'] = random.normal(size=outputs)
  return tensors | {
    'classifier.6.weight': np.zeros((10, 4)),
    'classifier.6.bias': np.zeros(10),
  }


def test_torchvision_weights():
  like = _noise(_shapes(models.build(_fcn8s(), NUM_CLASSES)))
  tensors = _torchvision(like.params)
  chosen, name_of = fcn8s_vgg.choose(tensors)
  variables, count = state_dict.load(chosen, like, name_of)
  assert count == 30
  # A dense layer's inputs are its map in the order channel, row, column.
  x = np.random.default_rng(4).normal(size=(7, 7, 3))
  ours = np.einsum('hwi,hwio->o', x, variables.params['fc6']['kernel'])
  theirs = tensors['classifier.0.weight'] @ x.transpose(2, 0, 1).reshape(-1)
  np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
  # The rest of the network keeps its own values.
  np.testing.assert_array_equal(
    variables.params['score_fr']['kernel'], like.params['score_fr']['kernel']
  )


def test_released_fcn8s_round_trip():
  variables = _noise(_shapes(models.build(_fcn8s(), NUM_CLASSES)))
  tensors = state_dict.export(variables)
  assert len(tensors) == 39
  assert tensors['upscore8.weight'].shape == (NUM_CLASSES, NUM_CLASSES, 16, 16)
  chosen, name_of = fcn8s_vgg.choose(tensors)
  loaded, _ = state_dict.load(
    chosen, jax.tree.map(jnp.zeros_like, variables), name_of
  )
  jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_unknown_preprocessing_is_named():
  with pytest.raises(ValueError, match=r"preprocessing: got 'BGR'.*CAFFE"):
    models.build(_fcn8s(preprocessing='BGR'), NUM_CLASSES)


def test_class_rows_cut_the_classifiers_only():
  tensors = {
    'conv1.weight': np.zeros((19, 3, 7, 7)),
    'layer6.conv2d_list.0.bias': np.arange(19.0),
  }
  chosen, _ = deeplab_v2.choose(tensors, class_rows=(3, 1))
  assert chosen['conv1.weight'].shape == (19, 3, 7, 7)
  np.testing.assert_array_equal(chosen['layer6.conv2d_list.0.bias'], [3, 1])
  with pytest.raises(ValueError, match=r'class_rows: got \(0, 19\).* 19 cl'):
    deeplab_v2.choose(tensors, class_rows=(0, 19))
  whole, _ = deeplab_v2.choose(tensors, class_rows=range(1, 20))
  assert whole['layer6.conv2d_list.0.bias'][0] == 0
  turned, _ = deeplab_v2.choose(tensors, class_rows=range(18, -1, -1))
  assert turned['layer6.conv2d_list.0.bias'][0] == 18


def _conv(x, kernel, stride=1, dilation=1):
  """A padded convolution in NumPy, tap by tap."""
  size = len(kernel)
  pad = dilation * (size // 2)
  sides = [-(-n // stride) for n in x.shape[1:3]]
  x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  taps = []
  for i, j in np.ndindex(size, size):
    rows, cols = (
      slice(k * dilation, k * dilation + (n - 1) * stride + 1, stride)
      for k, n in zip((i, j), sides)
    )
    taps.append(x[:, rows, cols] @ kernel[i, j])
  return sum(taps)


class _NumpyResNet:
  """ResNet-v1c with running statistics, written down from its definition."""

  def __init__(self, variables, blocks):
    self.tensors = state_dict.export(
      types.Variables(variables['params'], variables['batch_stats'])
    )
    self.blocks = blocks

  def conv(self, x, name, *args):
    kernel = self.tensors[f'{name}.weight'].transpose(2, 3, 1, 0)
    return _conv(x, kernel, *args)

  def norm(self, x, name):
    weight, bias, mean, var = (
      self.tensors[f'{name}.{part}']
      for part in ('weight', 'bias', 'running_mean', 'running_var')
    )
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

  def unit(self, x, conv, norm, *args):
    return self.norm(self.conv(x, conv, *args), norm)

  def block(self, x, name, stride, dilation):
    y = np.maximum(self.unit(x, f'{name}.conv1', f'{name}.bn1'), 0)
    y = np.maximum(
      self.unit(y, f'{name}.conv2', f'{name}.bn2', stride, dilation), 0
    )
    y = self.unit(y, f'{name}.conv3', f'{name}.bn3')
    if name.endswith('.0'):
      x = self.unit(x, f'{name}.downsample.0', f'{name}.downsample.1', stride)
    return np.maximum(x + y, 0)

  def __call__(self, x):
    for conv, stride in (('0', 2), ('3', 1), ('6', 1)):
      norm = f'stem.{int(conv) + 1}'
      x = np.maximum(self.unit(x, f'stem.{conv}', norm, stride), 0)
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = ((n - 3) // 2 + 1 for n in x.shape[1:3])
    x = np.max(
      [
        x[:, i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2]
        for i, j in np.ndindex(3, 3)
      ],
      0,
    )
    features = []
    # Stage: stride and dilation of the first block, dilation of the others.
    for i, (stride, first, others) in enumerate(
      ((1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4))
    ):
      for j in range(self.blocks[i]):
        step, dilation = (1, others) if j else (stride, first)
        x = self.block(x, f'layer{i + 1}.{j}', step, dilation)
      features.append(x)
    return features


def test_resnet_v1c_against_its_definition():
  blocks = (1, 1, 2, 2)
  module = resnet_v1c.ResNetV1c(blocks, 4, (2, 2, 2, 2))
  image = _image()
  variables = _noise(
    jax.eval_shape(
      lambda key: module.init(key, image, use_running_average=True),
      jax.random.key(0),
    )
  )
  ours = jax.jit(
    lambda variables: module.apply(variables, image, use_running_average=True)
  )(variables)
  expected = _NumpyResNet(variables, blocks)(image.astype(np.float64))
  assert [x.shape[1:3] for x in ours] == [(5, 9), (3, 5), (3, 5), (3, 5)]
  for a, b in zip(ours, expected, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def _dlv2(encoder):
  return ml_collections.ConfigDict(
    {
      'model': dict(
        name='encoder_decoder',
        encoder=encoder,
        head='dlv2',
        weights='',
        dtype='float32',
        allow_target_labels=False,
        new_classifier=False,
        in_channels=3,
        dilations=(6, 12),
        remat=False,
        head_width=0,
        head_dropout=0.1,
        fusion='',
        drop_path=0.0,
        attention='auto',
        heads=(),
      )
    }
  )


# torchvision's published numbers of parameters. ResNet-v1c has another stem,
# and the encoder has no layer of 1000 classes.
@pytest.mark.parametrize(
  ('encoder', 'published'),
  [('resnet50_v1c', 25_557_032), ('resnet101_v1c', 44_549_160)],
)
def test_resnet_v1c_under_deeplabs_head(encoder, published):
  stem = 9 * (3 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64)
  old_stem, classifier = 49 * 3 * 64 + 2 * 64, 2048 * 1000 + 1000
  network = models.build(_dlv2(encoder), 19)
  variables = jax.eval_shape(
    lambda key: network.init(key, (64, 64)), jax.random.key(0)
  )
  assert (
    _count(variables.params['backbone'])
    == published - classifier - old_stem + stem
  )
  assert _count(variables.params['decode_head']) == 2 * 19 * (9 * 2048 + 1)
  names = state_dict.export(
    jax.tree.map(lambda x: np.broadcast_to(np.int8(0), x.shape), variables)
  )
  for name in (
    'backbone.stem.3.weight',
    'backbone.stem.7.running_mean',
    'backbone.layer3.0.downsample.1.weight',
    'decode_head.aspp_modules.1.conv.bias',
  ):
    assert name in names
  image = jax.ShapeDtypeStruct((1, 512, 512, 3), jnp.float32)
  outputs, _ = jax.eval_shape(network.forward, *variables, image)
  assert outputs.logits.shape == (1, 64, 64, 19)
