"""DINOv3's ConvNeXt against transformers' own, with random weights.

`make_encoders.py` writes `dinov3_convnext.npz`.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uda_jax import configs
from uda_jax import models
from uda_jax import types
from uda_jax.models import convnext
from uda_jax.models import encoder_weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import state_dict

GOLDEN = dict(np.load(pathlib.Path(__file__).parent / 'dinov3_convnext.npz'))
TINY = dict(widths=(4, 6, 8, 10), depths=(1, 2, 3, 1))
CELL = 'stages.2.layers.1.'


def _modules():
  """The state dict by the names of transformers 5."""
  return {
    name.removeprefix('sd:'): x.astype(np.float32)
    for name, x in GOLDEN.items()
    if name.startswith('sd:')
  }


def _hub():
  """The state dict as the hub's files have it."""
  return {name.removeprefix('model.'): x for name, x in _modules().items()}


def _released():
  """The state dict as the authors' .pth has it: the last norm twice."""
  found = key_maps.canonical(_hub()).tensors
  last = {n: x for n, x in found.items() if n.startswith('norm.')}
  return found | {f'norms.3.{n.removeprefix("norm.")}': last[n] for n in last}


FILES = {'modules': _modules, 'hub': _hub, 'released': _released}


@functools.cache
def _shapes(module):
  return jax.eval_shape(
    module.init, jax.random.key(0), np.zeros((1, 32, 32, 3), 'f')
  )


def _variables(module, tensors):
  like = types.Variables({'backbone': _shapes(module)['params']}, {})
  chosen, name_of = encoder_weights.choose(tensors)
  loaded, count = state_dict.load(chosen, like, name_of)
  assert count == len(chosen) == len(_hub())
  return {'params': loaded.params['backbone']}


@pytest.mark.parametrize('name', ['tall', 'wide'])
def test_all_stages_are_those_of_transformers(name):
  module = convnext.ConvNeXt(**TINY)
  image = GOLDEN[f'{name}.image'].astype(np.float32)
  ours = jax.jit(module.apply)(_variables(module, _hub()), image)
  assert len(ours) == 4
  for i, x in enumerate(ours):
    golden = GOLDEN[f'{name}.stage{i}']
    np.testing.assert_allclose(x, golden, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('form', FILES)
def test_every_naming_gives_the_same_network(form):
  module = convnext.ConvNeXt(**TINY)
  loaded = state_dict.export(
    types.Variables(_variables(module, FILES[form]())['params'], {})
  )
  theirs = key_maps.respell(loaded, 'convnext_hub')
  assert theirs.keys() == _modules().keys()
  for name, x in _modules().items():
    np.testing.assert_array_equal(theirs[name], x)


def test_the_names_are_those_of_the_released_files():
  found = key_maps.canonical(_released())
  assert found.spelling == 'convnext' and len(found.dropped) == 2
  block = {
    n.removeprefix('stages.2.1.')
    for n in found.tensors
    if n.startswith('stages.2.1.')
  }
  assert block == {
    f'{part}.{kind}'
    for part in ('dwconv', 'norm', 'pwconv1', 'pwconv2')
    for kind in ('weight', 'bias')
  } | {'gamma'}
  assert found.tensors['stages.2.1.dwconv.weight'].shape == (8, 1, 7, 7)
  assert found.tensors['downsample_layers.0.0.weight'].shape == (4, 3, 4, 4)
  assert found.tensors['downsample_layers.2.0.weight'].shape == (6,)


def test_a_file_of_another_depth_is_an_error_that_counts_the_blocks():
  shallow = {n: x for n, x in _hub().items() if not n.startswith(CELL)}
  chosen, name_of = encoder_weights.choose(shallow)
  like = types.Variables(
    {'backbone': _shapes(convnext.ConvNeXt(**TINY))['params']}, {}
  )
  with pytest.raises(
    ValueError, match='another depth: expected stages of 1, 2, 3, 1 blocks, got'
  ):
    state_dict.load(chosen, like, name_of)


def test_other_sizes_are_enlarged_to_whole_cells():
  module = convnext.ConvNeXt(**TINY)
  variables = _variables(module, _hub())
  for size, cells in (((33, 64), (2, 2)), ((1, 5), (1, 1))):
    image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    maps = jax.eval_shape(module.apply, variables, image)
    for i, x in enumerate(maps):
      side = 8 >> i
      expected = (2, cells[0] * side, cells[1] * side, TINY['widths'][i])
      assert x.shape == expected


def test_a_dropped_branch_leaves_the_identity_and_others_grow():
  block = convnext.Block()
  params = jax.tree.map(
    jnp.asarray,
    _variables(convnext.ConvNeXt(**TINY), _hub())['params']['stages']['2']['1'],
  )
  x = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype('f')
  apply = jax.jit(block.apply)
  plain = apply({'params': params}, x)
  # The first draw counts: below the rate for one image alone.
  uniform = np.array([[0.1, 0.9], [0.9, 0.1]], 'f')
  dropped = apply({'params': params}, x, uniform, 0.5)
  np.testing.assert_array_equal(dropped[0], x[0])
  np.testing.assert_allclose(
    dropped[1] - x[1], 2 * (plain[1] - x[1]), rtol=1e-4, atol=1e-5
  )


# Model cards of facebook/dinov3-convnext-*: 29, 50, 89 and 198 million with the
# classifier of ImageNet, which has 1000 times the last width.
@pytest.mark.parametrize(
  ('encoder', 'millions'),
  [
    ('dinov3_convnext_tiny', 27.8),
    ('dinov3_convnext_small', 49.5),
    ('dinov3_convnext_base', 87.6),
    ('dinov3_convnext_large', 196.2),
    ('convnext_atto', 3.4),
  ],
)
def test_published_sizes(encoder, millions):
  shapes = _shapes(convnext.ConvNeXt(*convnext.VARIANTS[encoder]))
  total = sum(x.size for x in jax.tree.leaves(shapes))
  assert round(total / 1e6, 1) == millions


@pytest.mark.parametrize(
  ('config', 'size'), [('daformer', (64, 96)), ('hrda', (1024, 1024))]
)
def test_the_plug(config, size):
  """DAFormer's head and HRDA's two scales take its four maps."""
  config = configs.load(f'gta5_to_cityscapes/{config}')
  config.model.update(encoder='convnext_atto', weights='')
  network = models.build(config, 19)
  variables = jax.eval_shape(lambda: network.init(jax.random.key(0), (64, 64)))
  image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
  outputs, _ = jax.eval_shape(network.forward, *variables, image)
  assert outputs.logits.shape == (2, size[0] // 4, size[1] // 4, 19)
  assert len(outputs.features) == 4
