"""EVA-02 against timm's own, with random weights.

`make_encoders.py` writes `eva02_small.npz` (the form of the sizes tiny and
small) and `eva02_large.npz` (base and large: sub-LN, separate queries).
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
from uda_jax.models import attention
from uda_jax.models import encoder_weights
from uda_jax.models import eva02
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import state_dict

FORMS = ('small', 'large')
GOLDEN = {
  form: dict(np.load(pathlib.Path(__file__).parent / f'eva02_{form}.npz'))
  for form in FORMS
}


def _module(form, **fields):
  tiny = dict(width=16, depth=4, head_width=8, grid=3)
  return eva02.EVA02(**tiny, sub_norm=form == 'large', **fields)


def _file(form):
  """The state dict as timm's files have it."""
  return {
    name.removeprefix('sd:'): x.astype(np.float32)
    for name, x in GOLDEN[form].items()
    if name.startswith('sd:')
  }


@functools.cache
def _shapes(sub_norm, mask_token):
  module = _module('large' if sub_norm else 'small', mask_token=mask_token)
  return jax.eval_shape(
    module.init, jax.random.key(0), np.zeros((1, 42, 42, 3), 'f')
  )


def _variables(module, tensors, mask_token=False):
  shapes = _shapes(module.sub_norm, module.mask_token)
  like = types.Variables({'backbone': shapes['params']}, {})
  chosen, name_of = encoder_weights.choose(tensors, mask_token=mask_token)
  loaded, count = state_dict.load(chosen, like, name_of)
  assert count == len(chosen)
  return {'params': loaded.params['backbone']}


@pytest.mark.parametrize('form', FORMS)
def test_all_blocks_are_those_of_timm(form):
  """On the stored grid and, with resampled positions, on another."""
  module = _module(form)
  variables = _variables(module, _file(form))
  for name in ('tall', 'wide'):
    image = GOLDEN[form][f'{name}.image'].astype(np.float32)
    ours = jax.jit(module.apply)(variables, image)
    for i, x in enumerate(ours):
      golden = GOLDEN[form][f'{name}.block{i}']
      np.testing.assert_allclose(x, golden, rtol=1e-5, atol=1e-5)


def test_attention_in_blocks_gives_the_same():
  rule = attention.Rule('blockwise', above=0)
  image = GOLDEN['large']['wide.image'].astype(np.float32)
  module = _module('large', attention_rule=rule)
  ours = jax.jit(module.apply)(_variables(module, _file('large')), image)
  golden = GOLDEN['large']['wide.block3']
  np.testing.assert_allclose(ours[-1], golden, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  ('form', 'spelling'), [('small', 'eva02_fused'), ('large', 'eva02')]
)
def test_names_go_back_to_those_of_timm(form, spelling):
  found = key_maps.canonical(_file(form))
  assert found.spelling == spelling and found.preprocessing == 'CLIP'
  assert found.dropped == ('head.weight', 'head.bias')
  again = key_maps.respell(found.tensors, spelling)
  assert {*again, 'head.weight', 'head.bias'} == _file(form).keys()
  for name, x in again.items():
    np.testing.assert_array_equal(x, _file(form)[name])


def test_the_authors_names_give_the_same_network():
  ours = key_maps.canonical(_file('large')).tensors
  file = key_maps.respell(ours, 'eva02_authors')
  assert {'blocks.0.mlp.w3.bias', 'norm.bias'} < file.keys()
  file['mask_token'] = np.ones((1, 1, 16), np.float32)
  again = key_maps.canonical(file)
  assert again.spelling == 'eva02_authors'
  assert again.tensors.keys() == ours.keys()
  module = _module('large', mask_token=True)
  params = _variables(module, file, mask_token=True)['params']
  np.testing.assert_array_equal(params['mask_token'], np.ones((1, 16)))


@pytest.mark.parametrize(
  ('form', 'message'),
  [
    ('small', r'blocks\.0\.mlp\.norm\.weight .42,. is missing'),
    ('large', r'blocks\.0\.mlp\.norm\.weight .42,. is unexpected'),
  ],
)
def test_a_file_of_the_other_form_is_an_error(form, message):
  [other] = {*FORMS} - {form}
  with pytest.raises(state_dict.MisfitError, match=message):
    _variables(_module(other), _file(form))


# Model cards of timm's eva02_*_patch14_224.mim_in22k, in millions.
@pytest.mark.parametrize(
  ('encoder', 'millions'),
  [
    ('eva02_tiny', 5.5),
    ('eva02_small', 21.6),
    ('eva02_base', 85.8),
    ('eva02_large', 303.3),
  ],
)
def test_published_sizes(encoder, millions):
  width, depth, grid, sub_norm = eva02.VARIANTS[encoder]
  module = eva02.EVA02(width, depth, grid=grid, sub_norm=sub_norm)
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), np.zeros((1, 14, 14, 3), 'f')
  )
  total = sum(x.size for x in jax.tree.leaves(shapes))
  assert round(total / 1e6, 1) == millions


def test_the_plug():
  """DAFormer's head takes its maps of any images; 336: its grid."""
  config = configs.load('gta5_to_cityscapes/dinov2_self_training')
  config.model.update(encoder='eva02_tiny_336', weights='')
  network = models.build(config, 19)
  variables = jax.eval_shape(lambda: network.init(jax.random.key(0), (64, 64)))
  positions = variables.params['backbone']['pos_embed']
  assert positions.shape == (1, 24**2 + 1, 192)
  image = jax.ShapeDtypeStruct((2, 512, 512, 3), jnp.float32)
  outputs, _ = jax.eval_shape(network.forward, *variables, image)
  assert [x.shape[1:3] for x in outputs.features] == [(37, 37)] * 4


def test_pixels_are_those_of_clip():
  """The mean and standard deviation of timm; no frozen network of others."""
  config = configs.load('gta5_to_cityscapes/vfm_uda_pp_small')
  config.model.update(encoder='eva02_tiny', head='upscale', weights='')
  with pytest.raises(ValueError, match=r'config\.model\.reference: .*eva02'):
    models.build(config, 19)
  config.model.reference = None
  assert models.preprocessing_name(config) == 'CLIP'
  pixel = np.array([0.48145466, 0.4578275, 0.40821073], 'f') * 255
  normalize = models.build(config, 19).normalize
  np.testing.assert_allclose(normalize(pixel), 0, atol=1e-5)
  deviation = np.array([0.26862954, 0.26130258, 0.27577711], 'f') * 255
  np.testing.assert_allclose(normalize(pixel + deviation), 1, atol=1e-5)
