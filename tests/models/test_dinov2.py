"""DINOv2's transformer against NumPy, and under a head that knows no ViT."""

import math

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image
import pytest

from uda_jax import models
from uda_jax import types
from uda_jax.models import dinov2
from uda_jax.models import encoder_weights
from uda_jax.models import position_embedding
from uda_jax.models.weights import state_dict

# Two heads, four blocks of which each gives a feature, a grid of 3 x 3.
TINY = dict(width=8, depth=4, head_width=4, grid=3, ratio=2)


def _noise(shapes, seed=0):
  """Variables at random, without the compilation that a draw costs."""
  random = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jnp.asarray(random.normal(0, 0.5, x.shape), x.dtype), shapes
  )


def _image(height, width, dtype=np.float32, batch=2):
  shape = (batch, height, width, 3)
  return np.random.default_rng(0).normal(size=shape).astype(dtype)


def _variables(module, image):
  return _noise(jax.eval_shape(module.init, jax.random.key(0), image))


def _keys(x, a):
  """Keys' cubic, by its two formulas."""
  x = abs(x)
  if x < 1:
    return (a + 2) * x**3 - (a + 3) * x**2 + 1
  return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def _resampled(grid, size, offset):
  """PyTorch's bicubic without antialiasing, a pixel at a time."""
  result = np.zeros((*size, grid.shape[-1]))
  for y, x in np.ndindex(*size):
    source = [
      (i + 0.5) * n / (out + offset) - 0.5
      for i, n, out in zip((y, x), grid.shape, size)
    ]
    low = [math.floor(value) for value in source]
    for i, j in np.ndindex(4, 4):
      pixel = low[0] + i - 1, low[1] + j - 1
      weight = _keys(source[0] - pixel[0], -0.75) * _keys(
        source[1] - pixel[1], -0.75
      )
      inside = tuple(min(max(p, 0), n - 1) for p, n in zip(pixel, grid.shape))
      result[y, x] += weight * grid[inside]
  return result


class _NumpyViT:
  """The forward pass written down from the checkpoint's names."""

  def __init__(self, variables, registers):
    self.tensors = state_dict.export(types.Variables(variables['params'], {}))
    self.registers = registers

  def dense(self, x, name):
    return x @ self.tensors[f'{name}.weight'].T + self.tensors[f'{name}.bias']

  def norm(self, x, name):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    return x * self.tensors[f'{name}.weight'] + self.tensors[f'{name}.bias']

  def attention(self, x, name):
    heads = TINY['width'] // TINY['head_width']
    qkv = self.dense(x, f'{name}.qkv').reshape(*x.shape[:2], 3, heads, -1)
    query, key, value = qkv.transpose(2, 0, 3, 1, 4)
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(TINY['head_width'])
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = scores / scores.sum(-1, keepdims=True) @ value
    return self.dense(mixed.swapaxes(1, 2).reshape(x.shape), f'{name}.proj')

  def mlp(self, x, name):
    x = self.dense(x, f'{name}.fc1')
    x = x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    return self.dense(x, f'{name}.fc2')

  def __call__(self, image, positions):
    """Features of an image of whole patches with these positions."""
    rows, cols = image.shape[1] // 14, image.shape[2] // 14
    patches = image.reshape(-1, rows, 14, cols, 14, 3)
    x = np.einsum(
      'byixjc,ocij->byxo', patches, self.tensors['patch_embed.proj.weight']
    )
    x = x + self.tensors['patch_embed.proj.bias'] + positions
    x = x.reshape(len(x), rows * cols, -1)
    first = [self.tensors['cls_token'] + self.tensors['pos_embed'][:, :1]]
    if self.registers:
      first.append(self.tensors['register_tokens'])
    x = np.concatenate([*(np.repeat(part, len(x), 0) for part in first), x], 1)
    features = []
    for i in range(TINY['depth']):
      name = f'blocks.{i}'
      x = x + self.tensors[f'{name}.ls1.gamma'] * self.attention(
        self.norm(x, f'{name}.norm1'), f'{name}.attn'
      )
      x = x + self.tensors[f'{name}.ls2.gamma'] * self.mlp(
        self.norm(x, f'{name}.norm2'), f'{name}.mlp'
      )
      kept = self.norm(x, 'norm')[:, 1 + self.registers :]
      features.append(kept.reshape(len(x), rows, cols, -1))
    return features


@pytest.mark.parametrize(
  ('dtype', 'registers', 'size'),
  [('float32', 0, (28, 70)), ('float64', 2, (42, 42))],
)
def test_features_against_numpy(dtype, registers, size):
  """On another grid than the stored one, and on that one with registers."""
  with jax.enable_x64(dtype == 'float64'):
    module = dinov2.DINOv2(**TINY, registers=registers, dtype=jnp.dtype(dtype))
    image = _image(*size, dtype)
    variables = _variables(module, image)
    ours = jax.jit(module.apply)(variables, image)
  stored = np.asarray(variables['params']['pos_embed'], np.float64)[0, 1:]
  stored = stored.reshape(3, 3, -1)
  grid = tuple(n // 14 for n in size)
  positions = stored if grid == (3, 3) else _resampled(stored, grid, 0.1)
  expected = _NumpyViT(variables, registers)(image.astype('d'), positions)
  tolerance = 1e-10 if dtype == 'float64' else 2e-4
  for a, b in zip(ours, expected, strict=True):
    assert str(a.dtype) == dtype
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('size', [(3, 4), (5, 2), (11, 7)])
@pytest.mark.parametrize('offset', [0.0, 0.1])
def test_bicubic_resampling(size, offset):
  grid = np.random.default_rng(0).normal(size=(4, 5, 2))
  with jax.enable_x64(True):
    ours = position_embedding.resample(
      jnp.asarray(grid), size, offset=offset, antialias=False
    )
  np.testing.assert_allclose(ours, _resampled(grid, size, offset), atol=1e-12)


@pytest.mark.parametrize('size', [(3, 4), (9, 6), (5, 2)])
def test_antialiased_resampling(size):
  """As Pillow resizes, which PyTorch follows; its own grid comes back."""
  grid = np.random.default_rng(0).normal(size=(9, 6)).astype('f')
  ours = position_embedding.resample(
    jnp.asarray(grid)[..., None], size, offset=0.0, antialias=True
  )
  expected = Image.fromarray(grid).resize(size[::-1], Image.Resampling.BICUBIC)
  np.testing.assert_allclose(ours[..., 0], expected, rtol=1e-5, atol=1e-6)


def test_other_sizes_are_enlarged_to_whole_patches():
  """The maps span the image: a constant one is constant up to its border."""
  module = dinov2.DINOv2(**TINY)
  shapes = jax.eval_shape(module.init, jax.random.key(0), _image(42, 42))
  for size, grid in (
    ((43, 30), (4, 3)),
    ((512, 512), (37, 37)),
    ((14, 15), (1, 2)),
  ):
    image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    outputs = jax.eval_shape(module.apply, shapes, image)
    assert {x.shape for x in outputs} == {(1, *grid, TINY['width'])}
  variables = _noise(shapes)
  variables['params']['pos_embed'] *= 0
  x = jax.jit(module.apply)(variables, np.ones((1, 16, 41, 3), 'f'))[-1]
  np.testing.assert_allclose(
    x, np.broadcast_to(x[:, :1, :1], x.shape), rtol=1e-4, atol=1e-5
  )


def _config(encoder, **changes):
  fields = dict(
    name='encoder_decoder',
    encoder=encoder,
    head='daformer',
    weights='',
    dtype='float32',
    allow_target_labels=False,
    new_classifier=False,
    in_channels=3,
    head_width=8,
    head_dropout=0.1,
    fusion='sepaspp',
    drop_path=0.1,
    attention='auto',
    remat=False,
    heads=(),
  )
  return ml_collections.ConfigDict({'model': fields | changes})


# timm's model cards of vit_{small,base,large}_patch14[_reg4]_dinov2.lvd142m,
# in millions; `mask_token` is not among them.
@pytest.mark.parametrize(
  ('encoder', 'millions'),
  [
    ('dinov2_s', 22.1),
    ('dinov2_b', 86.6),
    ('dinov2_l', 304.4),
    ('dinov2_s_reg', 22.1),
  ],
)
def test_published_sizes_and_the_plug(encoder, millions):
  """Any head takes it, and the gradient's path is the network's own affair."""
  network = models.build(_config(encoder), 19)
  variables = jax.eval_shape(
    lambda key: network.init(key, (64, 64)), jax.random.key(0)
  )
  total = sum(x.size for x in jax.tree.leaves(variables.params['backbone']))
  assert round(total / 1e6, 1) == millions
  image = jax.ShapeDtypeStruct((2, 512, 512, 3), jnp.float32)
  outputs, _ = jax.eval_shape(network.forward, *variables, image)
  assert outputs.logits.shape == (2, 37, 37, 19)
  assert len(outputs.features) == 4


def _released(variables):
  """A file as facebookresearch's: all names at the top, and a mask token."""
  tensors = state_dict.export(types.Variables(variables['params'], {}))
  return tensors | {'mask_token': np.zeros((1, TINY['width']))}


def test_released_names():
  module = dinov2.DINOv2(**TINY, registers=4)
  tensors = _released(_variables(module, _image(42, 42)))
  assert tensors['pos_embed'].shape == (1, 10, 8)
  assert tensors['cls_token'].shape == (1, 1, 8)
  assert tensors['register_tokens'].shape == (1, 4, 8)
  assert tensors['patch_embed.proj.weight'].shape == (8, 3, 14, 14)
  block = {
    n.removeprefix('blocks.3.') for n in tensors if n.startswith('blocks.3.')
  }
  assert block == {
    f'{part}.{kind}'
    for kind in ('weight', 'bias')
    for part in (
      'norm1',
      'attn.qkv',
      'attn.proj',
      'norm2',
      'mlp.fc1',
      'mlp.fc2',
    )
  } | {'ls1.gamma', 'ls2.gamma'}
  assert {n for n in tensors if not n.startswith('blocks.')} == {
    'cls_token',
    'pos_embed',
    'register_tokens',
    'mask_token',
    'patch_embed.proj.weight',
    'patch_embed.proj.bias',
    'norm.weight',
    'norm.bias',
  }


def test_released_weights_come_under_the_head():
  module = dinov2.DINOv2(**TINY)
  variables = _variables(module, _image(42, 42))
  chosen, name_of = encoder_weights.choose(_released(variables))
  like = types.Variables(
    {
      'backbone': jax.tree.map(jnp.zeros_like, variables['params']),
      'decode_head': {'conv_seg': {'bias': jnp.ones(2)}},
    },
    {},
  )
  loaded, count = state_dict.load(chosen, like, name_of)
  assert count == len(chosen) == len(jax.tree.leaves(variables))
  jax.tree.map(
    np.testing.assert_array_equal,
    loaded.params['backbone'],
    variables['params'],
  )
  assert loaded.params['decode_head']['conv_seg']['bias'].all()


def test_the_token_of_hidden_patches_is_read_if_the_network_has_it():
  module = dinov2.DINOv2(**TINY, mask_token=True)
  variables = _variables(module, _image(42, 42))
  file = state_dict.export(types.Variables(variables['params'], {}))
  file = {f'module.{name}': x for name, x in file.items()}
  chosen, name_of = encoder_weights.choose(file, mask_token=True)
  np.testing.assert_array_equal(chosen['mask_token'], file['module.mask_token'])
  like = types.Variables({'backbone': variables['params']}, {})
  assert state_dict.load(chosen, like, name_of)[1] == len(file)
  chosen, _ = encoder_weights.choose(file)
  assert len(chosen) == len(file) - 1
  with pytest.raises(ValueError, match='mask_token.* is missing'):
    state_dict.load(chosen, like, name_of)


def test_gradient_stochastic_depth_and_rematerialisation():
  # Enough images that no block is dropped for all of them.
  image = _image(30, 30, batch=8)

  def run(remat):
    module = dinov2.DINOv2(**TINY, registers=1, drop_path=0.3, remat=remat)
    variables = _variables(module, image)

    def loss(params, key):
      features = module.apply(
        {'params': params}, image, deterministic=False, rngs={'dropout': key}
      )
      return sum(jnp.mean(x**2 * (i + 1)) for i, x in enumerate(features))

    gradient = jax.jit(jax.grad(loss))
    return [
      gradient(variables['params'], k) for k in map(jax.random.key, (0, 5))
    ]

  (plain, other), (again, _) = run(False), run(True)
  for path, leaf in jax.tree_util.tree_leaves_with_path(plain):
    assert np.isfinite(leaf).all() and np.any(leaf), path
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
    plain,
    again,
  )
  assert not np.array_equal(
    plain['patch_embed']['proj']['bias'], other['patch_embed']['proj']['bias']
  )
