"""DINOv3 against transformers' own, with random weights.

`dinov3_hub.npz` was written by transformers 5: a `DINOv3ViTModel` of 4 blocks,
2 heads of 8 channels, 4 register tokens and patches of 16, its parameters drawn
from N(0, 0.3^2) with torch.manual_seed(0); `sd:` is its state dict (float16
without loss), `*.image` a normalized image [B, H, W, 3], `*.last` the tokens
after the last norm, in float32.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import configs
from uda_jax import models
from uda_jax import types
from uda_jax.models import attention
from uda_jax.models import dinov3
from uda_jax.models import encoder_weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import state_dict

GOLDEN = dict(np.load(pathlib.Path(__file__).parent / 'dinov3_hub.npz'))
TINY = dict(width=16, depth=4, head_width=8, ratio=2, num_features=1)


def _file():
  """The state dict as the hub's files have it."""
  return {
    name.removeprefix('sd:').removeprefix('model.'): x.astype(np.float32)
    for name, x in GOLDEN.items()
    if name.startswith('sd:')
  }


def _module(**fields):
  return dinov3.DINOv3(**(TINY | fields))


def _variables(module, mask_token=False):
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), np.zeros((1, 32, 32, 3), 'f')
  )
  like = types.Variables({'backbone': shapes['params']}, {})
  chosen, name_of = encoder_weights.choose(_file(), mask_token=mask_token)
  loaded, count = state_dict.load(chosen, like, name_of)
  assert count == len(chosen) == len(_file()) - (not mask_token)
  return {'params': loaded.params['backbone']}


@pytest.mark.parametrize('name', ['tall', 'wide'])
def test_features_are_those_of_transformers(name):
  module = _module()
  image = GOLDEN[f'{name}.image'].astype(np.float32)
  (ours,) = jax.jit(module.apply)(_variables(module), image)
  rows, columns = (n // 16 for n in image.shape[1:3])
  golden = GOLDEN[f'{name}.last'][:, 5:].reshape(2, rows, columns, -1)
  np.testing.assert_allclose(ours, golden, rtol=1e-4, atol=2e-5)


def test_attention_in_blocks_gives_the_same():
  rule = attention.Rule('blockwise', above=0)
  image = GOLDEN['wide.image'].astype(np.float32)
  plain, blocks = _module(), _module(attention_rule=rule)
  variables = _variables(plain)
  for a, b in zip(
    plain.apply(variables, image), blocks.apply(variables, image), strict=True
  ):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_rotations_keep_lengths_and_depend_on_the_distance_alone():
  angle = dinov3.angles((3, 4), 8)
  assert angle.shape == (12, 8)
  x = np.random.default_rng(0).normal(size=(1, 14, 2, 8))
  with jax.enable_x64(True):
    y = np.asarray(dinov3.rotate(jnp.asarray(x), angle))
    constant = dinov3.rotate(
      jnp.asarray(np.broadcast_to(x[:, :1], x.shape)), angle
    )
  np.testing.assert_array_equal(y[:, :2], x[:, :2])
  np.testing.assert_allclose(
    np.linalg.norm(y, axis=-1), np.linalg.norm(x, axis=-1)
  )
  scores = np.einsum('thn,shn->hts', constant[0, 2:], constant[0, 2:])[0]
  grid = scores.reshape(3, 4, 3, 4)
  np.testing.assert_allclose(grid[0, 0, 1, 2], grid[1, 1, 2, 3])
  assert abs(grid[0, 0, 1, 2] - grid[0, 0, 2, 1]) > 1e-3


def test_hidden_patches_become_the_token_of_the_file():
  module = _module(mask_token=True)
  variables = _variables(module, mask_token=True)
  assert module.mask_size((64, 32)) == (4, 2)
  token = np.asarray(variables['params']['mask_token'])
  np.testing.assert_array_equal(token, _file()['embeddings.mask_token'][0])
  image = GOLDEN['tall.image'].astype(np.float32)
  hidden = np.zeros((2, 4, 2), bool)
  (one,) = module.apply(variables, image, mask=hidden)
  (other,) = module.apply(variables, 0 * image, mask=hidden)
  np.testing.assert_array_equal(one, other)


def test_names_go_back_to_those_of_transformers():
  found = key_maps.canonical(_file())
  assert found.spelling == 'dinov3_hub'
  assert found.dropped == ('embeddings.mask_token',)
  again = key_maps.respell(found.tensors, 'dinov3_hub')
  theirs = {n.removeprefix('sd:') for n in GOLDEN if n.startswith('sd:')}
  assert {*again, 'embeddings.mask_token'} == theirs


# Model cards of facebook/dinov3-vit{s,b,l}16-pretrain-lvd1689m: 21, 86 and 300
# million parameters.
@pytest.mark.parametrize(
  ('encoder', 'millions'),
  [('dinov3_s', 21.6), ('dinov3_b', 85.7), ('dinov3_l', 303.1)],
)
def test_published_sizes_under_a_head(encoder, millions):
  config = configs.load('gta5_to_cityscapes/dinov2_self_training')
  config.model.update(encoder=encoder, weights='')
  network = models.build(config, 19)
  variables = jax.eval_shape(lambda: network.init(jax.random.key(0), (64, 64)))
  total = sum(x.size for x in jax.tree.leaves(variables.params['backbone']))
  assert round(total / 1e6, 1) == millions
  image = jax.ShapeDtypeStruct((2, 512, 512, 3), jnp.float32)
  outputs, _ = jax.eval_shape(network.forward, *variables, image)
  assert [x.shape[1:3] for x in outputs.features] == [(32, 32)] * 4
