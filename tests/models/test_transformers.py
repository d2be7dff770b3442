"""MiT encoders and their heads: sizes, stochastic depth, equal blocks."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from uda_jax import models
from uda_jax import types
from uda_jax.configs.blocks import networks
from uda_jax.models import blocks
from uda_jax.models import daformer_head
from uda_jax.models import encoder_decoder
from uda_jax.models import mix_transformer
from uda_jax.models import network as network_lib
from uda_jax.models import preprocessing
from uda_jax.models import segformer_head
from uda_jax.models.weights import state_dict

# The specification's table: the encoders without ImageNet's classifier.
PARAMETERS = {
  'mit_b0': 3_319_392,
  'mit_b1': 13_151_424,
  'mit_b2': 24_196_288,
  'mit_b3': 44_072_128,
  'mit_b4': 60_842_688,
  'mit_b5': 81_443_008,
}


def _tiny(**options):
  """Two blocks in the second stage, else one."""
  fields = dict(
    widths=(4, 8, 12, 16),
    depths=(1, 2, 1, 1),
    heads=(1, 2, 3, 4),
    ratios=(2,) * 4,
  )
  return mix_transformer.MixTransformer(**fields | options)


def _variables(module, image):
  """Fresh variables with random kernels and LayerNorms off their defaults."""
  shapes = jax.eval_shape(module.init, jax.random.key(0), image)
  random = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: jnp.asarray(random.normal(0.2, 0.4, x.shape), x.dtype), shapes
  )


def _config(**model):
  config = networks.daformer_network(encoder='mit_b0')
  config.update(model)
  return ml_collections.ConfigDict(dict(model=config))


def _count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


@pytest.mark.parametrize('name', PARAMETERS)
def test_number_of_parameters(name):
  module = encoder_decoder.encoder(_config(encoder=name).model)
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3))
  )
  assert _count(shapes) == PARAMETERS[name]


def test_number_of_parameters_of_the_head():
  features = [
    jnp.zeros((1, 8 // 2**i, 8 // 2**i, width))
    for i, width in enumerate(mix_transformer.WIDE)
  ]
  shapes = jax.eval_shape(
    lambda key: daformer_head.DAFormerHead(19).init(
      key, features, use_running_average=True
    ),
    jax.random.key(0),
  )
  assert _count(shapes['params']) == 3_712_275


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (64, 96)])
def test_maps_of_odd_sizes_are_rounded_up(size):
  image = jnp.zeros((2, *size, 3))
  module = _tiny()
  shapes = jax.eval_shape(
    lambda key: module.init_with_output(key, image)[0], jax.random.key(0)
  )
  for x, stride, width in zip(shapes, (4, 8, 16, 32), module.widths):
    assert x.shape == (2, *(-(-n // stride) for n in size), width)


def test_too_small_an_image_is_named():
  with pytest.raises(ValueError, match='at least 32 pixels'):
    _tiny().init(jax.random.key(0), jnp.zeros((1, 64, 31, 3)))


def test_blocks_in_turn_and_recomputed_blocks_give_the_same():
  x = jax.random.normal(jax.random.key(1), (2, 6, 5, 8))
  make = lambda **options: mix_transformer.Block(2, 2, 2, **options)

  def in_turn(remat):
    return blocks.Blocks(make, (0.0, 0.0, 0.0), remat)

  shapes = jax.eval_shape(
    lambda key: in_turn(False).init(key, x, deterministic=True),
    jax.random.key(0),
  )
  random = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda leaf: jnp.asarray(random.normal(0, 0.4, leaf.shape), leaf.dtype),
    shapes,
  )

  def one_by_one(variables):
    y = x
    for i in range(3):
      params = {'params': variables['params'][str(i)]}
      y = make(parent=None).apply(params, y)
    return y

  def gradient(function):
    return jax.grad(lambda v: (function(v) ** 2).mean())(variables)

  apply = lambda remat: (
    lambda variables: in_turn(remat).apply(variables, x, deterministic=True)
  )

  @jax.jit
  def run():
    functions = (one_by_one, apply(False), apply(True))
    return [(f(variables), gradient(f)) for f in functions]

  expected, *others = run()
  for found in others:
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
      expected,
      found,
    )


def test_drop_path_drops_and_scales_whole_samples():
  x = jnp.ones((4000, 2, 3))
  uniform = jax.random.uniform(jax.random.key(0), (4000,))
  y = np.asarray(blocks.drop_path(x, uniform, rate=0.2))
  assert set(np.unique(y.min((1, 2)))) == {0, np.float32(1 / 0.8)}
  np.testing.assert_array_equal(y.min((1, 2)), y.max((1, 2)))
  assert abs(y.mean() - 1) < 0.03
  np.testing.assert_array_equal(blocks.drop_path(x, uniform, rate=0.0), x)


def test_drop_path_rates_are_counted_through_the_stages():
  rates = blocks.drop_path_rates(0.1, (1, 2, 1, 1))
  np.testing.assert_allclose(
    np.concatenate(rates), [0, 0.025, 0.05, 0.075, 0.1]
  )
  assert [len(stage) for stage in rates] == [1, 2, 1, 1]


def test_stochastic_depth_is_keyed_and_off_when_deterministic():
  image = jax.random.normal(jax.random.key(1), (4, 32, 32, 3))
  module = _tiny(drop_path=0.9)
  variables = _variables(module, image)

  @jax.jit
  def run(key, same, other):
    last = lambda key: module.apply(
      variables,
      image,
      deterministic=key is None,
      rngs={} if key is None else {'dropout': key},
    )[-1]
    return last(None), jnp.stack([last(key), last(same), last(other)])

  plain, (first, again, other) = run(*map(jax.random.key, (0, 0, 1)))
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 1e-3
  assert np.abs(first - plain).max() > 1e-3


def test_a_block_in_bfloat16_is_near_that_in_float32():
  x = jax.random.normal(jax.random.key(1), (1, 6, 5, 8))
  make = lambda dtype: mix_transformer.Block(2, 2, 2, dtype=dtype)
  variables = _variables(make(jnp.float32), x)
  expected, found = jax.jit(
    lambda variables: tuple(
      make(dtype).apply(variables, x.astype(dtype))
      for dtype in (jnp.float32, jnp.bfloat16)
    )
  )(variables)
  assert found.dtype == jnp.bfloat16
  np.testing.assert_allclose(found.astype(jnp.float32), expected, atol=0.15)


@pytest.mark.parametrize('fusion', daformer_head.FUSIONS)
def test_fusions_give_logits_at_the_finest_stage(fusion):
  features = [jnp.ones((2, n, n, 4)) for n in (9, 5, 3, 2)]
  head = daformer_head.DAFormerHead(3, 8, fusion)
  (logits, fused), _ = jax.eval_shape(
    lambda key: head.init_with_output(key, features, use_running_average=True),
    jax.random.key(0),
  )
  assert logits.shape == (2, 9, 9, 3) and fused.shape == (2, 9, 9, 8)


def test_segformer_head_is_a_sum_of_resized_linear_maps():
  random = np.random.default_rng(0)
  features = [
    jnp.asarray(random.normal(size=(1, n, n, 4)), jnp.float32) for n in (4, 2)
  ]
  head = segformer_head.SegformerHead(3, 8)
  shapes = jax.eval_shape(
    lambda key: head.init(key, features, use_running_average=True),
    jax.random.key(0),
  )
  variables = jax.tree.map(
    lambda x: jnp.asarray(random.uniform(0.1, 1, x.shape), x.dtype), shapes
  )
  ours, _ = head.apply(variables, features, use_running_average=True)
  tensors = state_dict.export(types.Variables(**variables))
  maps = [
    np.asarray(x) @ tensors[f'linear_c{i + 1}.proj.weight'].T
    + tensors[f'linear_c{i + 1}.proj.bias']
    for i, x in enumerate(features)
  ]
  up = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
  maps[1] = np.einsum('yi,xj,bijc->byxc', up, up, maps[1])
  fuse = tensors['linear_fuse.conv.weight'][:, :, 0, 0]
  x = np.concatenate(maps[::-1], -1) @ fuse.T
  x = (x - tensors['linear_fuse.bn.running_mean']) / np.sqrt(
    tensors['linear_fuse.bn.running_var'] + 1e-5
  )
  x = np.maximum(
    x * tensors['linear_fuse.bn.weight'] + tensors['linear_fuse.bn.bias'], 0
  )
  expected = x @ tensors['linear_pred.weight'][:, :, 0, 0].T
  np.testing.assert_allclose(
    ours, expected + tensors['linear_pred.bias'], rtol=1e-4
  )


@pytest.mark.parametrize(
  ('part', 'name', 'shape', 'std'),
  [
    (mix_transformer.MixTransformer, 'q', (64, 64), 0.02),
    (mix_transformer.MixTransformer, 'dwconv', (3, 3, 1, 640), np.sqrt(2 / 9)),
    (
      mix_transformer.MixTransformer,
      'proj',
      (7, 7, 3, 32),
      np.sqrt(2 / (49 * 32)),
    ),
    (daformer_head.DAFormerHead, 'conv_seg', (1, 1, 256, 19), 0.01),
    (segformer_head.SegformerHead, 'linear_pred', (1, 1, 256, 19), 0.01),
    (
      daformer_head.DAFormerHead,
      'bottleneck',
      (3, 3, 64, 32),
      np.sqrt(2 / (9 * 32)),
    ),
    (
      daformer_head.DAFormerHead,
      'depthwise',
      (3, 3, 1, 1024),
      np.sqrt(2 / (9 * 1024)),
    ),
    (daformer_head.DAFormerHead, 'embedding', (64, 256), 1 / np.sqrt(3 * 64)),
  ],
)
def test_kernels_start_with_the_published_spread(part, name, shape, std):
  noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  kernel = np.asarray(part.kernel_init((name, 'kernel'), jnp.asarray(noise)))
  assert kernel.shape == shape
  assert abs(kernel.std() / std - 1) < 0.05
  if name == 'embedding':
    # Uniform: nothing beyond sqrt(3) standard deviations.
    assert 0.99 < np.abs(kernel).max() / (np.sqrt(3) * std) <= 1


def test_every_kernel_of_a_fresh_network_is_drawn():
  module = encoder_decoder.EncoderDecoder(
    _tiny(), daformer_head.DAFormerHead(3, 4)
  )
  network = network_lib.from_module(
    module, preprocessing.IMAGENET, kernel_init=module.kernel_init
  )
  params = network.init(jax.random.key(0), (32, 32)).params
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    assert np.any(leaf) == (
      path[-1].key != 'bias' or 'embed_layers' in str(path)
    ), path


def test_dropout_drops_whole_channels():
  x = jnp.ones((2, 3, 3, 4))
  make = lambda: daformer_head.DAFormerHead(4, 4, 'conv1', dropout=0.5)
  variables = make().init(jax.random.key(0), [x], use_running_average=True)
  ones = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), variables)
  logits, _ = make().apply(
    ones,
    [x],
    use_running_average=True,
    deterministic=False,
    rngs={'dropout': jax.random.key(3)},
  )
  # Equal everywhere in an image, so every pixel lost the same channels.
  assert np.ptp(logits, axis=(1, 2)).max() == 0
  assert len(np.unique(np.asarray(logits).round(3))) > 1


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('encoder', 'mit_b9'),
    ('head', 'none'),
    ('attention', 'fast'),
    ('attention', 'cudnn'),
    ('fusion', 'sum'),
  ],
)
def test_a_wrong_field_is_named(field, value):
  config = _config(**{field: value})
  with pytest.raises(ValueError, match=f'{field}.* got {value!r}|an NVIDIA'):
    models.build(config, 3).init(jax.random.key(0), (32, 32))


def test_blocks_keep_products_alone_for_the_backward_pass():
  make = lambda **options: mix_transformer.Block(2, 1, 4, **options)
  module = blocks.Blocks(make, (0.0, 0.0))
  x = jnp.zeros((1, 6, 6, 8))
  variables = jax.eval_shape(
    lambda key: module.init(key, x, deterministic=True), jax.random.key(0)
  )
  apply = lambda variables: module.apply(variables, x, deterministic=True)
  # What the backward pass is given, stacked over the two blocks.
  kept = jax.eval_shape(lambda v: jax.vjp(apply, v)[1], variables)
  shapes = [leaf.shape for leaf in jax.tree.leaves(kept)]
  # The hidden maps before and after the depthwise convolution, no GELU's.
  assert shapes.count((2, 1, 6, 6, 32)) == 2
  # No products of the 36 queries and keys of two heads.
  assert max(map(np.prod, shapes)) < 2 * 2 * 36 * 36
