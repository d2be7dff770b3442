"""Spellings of published files: there and back in every format."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models import pth_files as make
from uda_jax import types
from uda_jax.models import convnext
from uda_jax.models import daformer_head
from uda_jax.models import deeplab_v2
from uda_jax.models import dinov2
from uda_jax.models import dinov3
from uda_jax.models import dlv2_head
from uda_jax.models import encoder_decoder
from uda_jax.models import encoder_weights
from uda_jax.models import eva02
from uda_jax.models import fcn8s_vgg
from uda_jax.models import mix_transformer
from uda_jax.models import network
from uda_jax.models import preprocessing
from uda_jax.models import resnet_v1c
from uda_jax.models import segformer_head
from uda_jax.models import weights
from uda_jax.models.weights import key_maps
from uda_jax.models.weights import safetensors
from uda_jax.models.weights import spellings
from uda_jax.models.weights import state_dict

MIT = mix_transformer.MixTransformer(
  (4, 8, 12, 16), (1, 2, 2, 1), heads=(1, 2, 3, 4)
)
RESNET = resnet_v1c.ResNetV1c((1, 2, 1, 1), stem=4, planes=(2, 2, 3, 4))
NETWORKS = {
  'deeplab': deeplab_v2.DeepLabV2(
    3, stem=4, planes=(2, 2, 3, 4), blocks=(1, 2, 1, 1)
  ),
  'fcn': fcn8s_vgg.FCN8sVGG(3, (2, 3, 4, 5, 6), fc_width=8),
  'daformer': encoder_decoder.EncoderDecoder(
    MIT, daformer_head.DAFormerHead(3, 8)
  ),
  'segformer': encoder_decoder.EncoderDecoder(
    MIT, segformer_head.SegformerHead(3, 8)
  ),
  'resnet_v1c': encoder_decoder.EncoderDecoder(RESNET, dlv2_head.DLV2Head(3)),
  'dinov2': encoder_decoder.EncoderDecoder(
    dinov2.DINOv2(8, 4, head_width=4, grid=3), dlv2_head.DLV2Head(3)
  ),
  'convnext': encoder_decoder.EncoderDecoder(
    convnext.ConvNeXt((2, 3, 4, 5), (1, 1, 1, 1)), dlv2_head.DLV2Head(3)
  ),
  'eva02': encoder_decoder.EncoderDecoder(
    eva02.EVA02(8, 4, head_width=4, grid=3), dlv2_head.DLV2Head(3)
  ),
  'eva02_small': encoder_decoder.EncoderDecoder(
    eva02.EVA02(8, 4, head_width=4, grid=3, sub_norm=False),
    dlv2_head.DLV2Head(3),
  ),
  'dinov3': encoder_decoder.EncoderDecoder(
    dinov3.DINOv3(8, 4, head_width=4), dlv2_head.DLV2Head(3)
  ),
}


@functools.cache
def _shapes(name: str) -> types.Variables:
  made = network.from_module(NETWORKS[name], preprocessing.IMAGENET)
  return jax.eval_shape(lambda: made.init(jax.random.key(0), (42, 42)))


def _variables(name, seed):
  random = np.random.default_rng(seed)
  return jax.tree.map(
    lambda x: jnp.asarray(random.normal(size=x.shape), x.dtype), _shapes(name)
  )


class Case(NamedTuple):
  """A spelling's network, what it leaves out, what its files have besides."""

  network: str
  choose: Any
  pixels: str = 'IMAGENET'
  without: tuple[str, ...] = ()
  extra: tuple[str, ...] = ()
  # A name that must be in the file.
  name: str = ''


HEAD = ('decode_head.',)
MIT_CASE = Case('daformer', encoder_weights.choose, without=HEAD)
CASES = {
  'caffe_resnet': Case(
    'deeplab',
    deeplab_v2.choose,
    'CAFFE',
    ('layer5.', 'layer6.'),
    ('Scale.layer5.conv2d_list.0.weight',),
    'Scale.layer2.1.bn1.weight',
  ),
  'torchvision_resnet': Case(
    'deeplab',
    deeplab_v2.choose,
    without=('layer5.', 'layer6.'),
    extra=('fc.weight', 'fc.bias'),
    name='layer1.0.downsample.0.weight',
  ),
  'torchvision_vgg16': Case(
    'fcn',
    fcn8s_vgg.choose,
    without=('score', 'upscore'),
    extra=('classifier.6.weight',),
    name='classifier.3.bias',
  ),
  'mmlab_resnet_v1c': Case(
    'resnet_v1c',
    encoder_weights.choose,
    without=HEAD,
    extra=('fc.weight',),
    name='stem.3.weight',
  ),
  'mit': MIT_CASE._replace(
    extra=('head.weight',), name='block1.0.attn.kv.weight'
  ),
  'mit_mmseg': MIT_CASE._replace(name='layers.2.1.1.attn.attn.in_proj_weight'),
  'encoder_decoder_mmseg': Case(
    'daformer',
    encoder_weights.choose,
    name='backbone.layers.3.1.0.ffn.layers.4.weight',
  ),
  'mit_hub': MIT_CASE._replace(
    extra=('classifier.weight',),
    name='segformer.encoder.block.1.0.attention.self.key.weight',
  ),
  'mit_transformers5': MIT_CASE._replace(
    extra=('classifier.bias',),
    name='segformer.stages.2.blocks.1.'
    'attention.sequence_reduction.layer_norm.weight',
  ),
  'segformer_hub': Case(
    'segformer', encoder_weights.choose, name='decode_head.linear_c.3.proj.bias'
  ),
  'segformer_transformers5': Case(
    'segformer',
    encoder_weights.choose,
    name='decode_head.linear_projections.0.proj.weight',
  ),
  'dinov2': Case(
    'dinov2',
    encoder_weights.choose,
    without=HEAD,
    extra=('mask_token',),
    name='blocks.3.ls2.gamma',
  ),
  'dinov2_soma': Case(
    'dinov2',
    encoder_weights.choose,
    without=HEAD,
    extra=('mask_token',),
    name='blocks.3.attn.q.bias',
  ),
  'dinov3_hub': Case(
    'dinov3',
    encoder_weights.choose,
    without=HEAD,
    extra=('embeddings.mask_token',),
    name='model.layer.3.attention.q_proj.bias',
  ),
  'convnext': Case(
    'convnext',
    encoder_weights.choose,
    without=HEAD,
    extra=('norms.3.weight', 'norms.3.bias', 'head.weight'),
    name='stages.1.0.pwconv2.weight',
  ),
  'convnext_hub': Case(
    'convnext',
    encoder_weights.choose,
    without=HEAD,
    name='model.stages.1.layers.0.gamma',
  ),
  'eva02': Case(
    'eva02',
    encoder_weights.choose,
    'CLIP',
    HEAD,
    ('head.weight', 'mask_token'),
    'blocks.3.attn.q_proj.bias',
  ),
  'eva02_fused': Case(
    'eva02_small',
    encoder_weights.choose,
    'CLIP',
    HEAD,
    ('head.weight', 'blocks.0.attn.rope.freqs_cos'),
    'blocks.3.attn.v_bias',
  ),
  'eva02_authors': Case(
    'eva02',
    encoder_weights.choose,
    'CLIP',
    HEAD,
    ('lm_head.weight', 'rope.freqs_sin'),
    'blocks.3.mlp.ffn_ln.bias',
  ),
  'segformer': Case(
    'segformer',
    encoder_weights.choose,
    extra=('decode_head.conv_seg.weight',),
    name='decode_head.linear_c4.proj.weight',
  ),
  'encoder_decoder': Case(
    'daformer',
    encoder_weights.choose,
    extra=('proj_head.proj.0.weight',),
    name='decode_head.embed_layers.3.proj.weight',
  ),
  'mmlab_backbone': Case(
    'resnet_v1c',
    encoder_weights.choose,
    without=HEAD,
    extra=('head.fc.weight',),
    name='backbone.layer4.0.bn3.running_var',
  ),
  'deeplab_v2': Case(
    'deeplab',
    deeplab_v2.choose,
    'CAFFE',
    extra=('para', 'fuse_weight_1'),
    name='layer6.conv2d_list.3.bias',
  ),
  'fcn8s_vgg': Case(
    'fcn', fcn8s_vgg.choose, 'CAFFE', name='upscore_pool4.weight'
  ),
}


def _pth(path, tensors, write, *more):
  flat = {
    str(i): np.ascontiguousarray(x).reshape(-1)
    for i, x in enumerate(tensors.values())
  }
  content = {
    name: make.tensor(make.storage(flat[str(i)], str(i), *more), x.shape)
    for i, (name, x) in enumerate(tensors.items())
  }
  write(path, make.mapping(content), flat)


FORMATS = {
  'safetensors': safetensors.write,
  'zip': lambda path, x: _pth(path, x, make.write_zip),
  'legacy': lambda path, x: _pth(path, x, make.write_legacy, b'N'),
}


def _file_of(case, spelling, variables):
  """The tensors of a published file, and the canonical ones in it."""
  tensors = {
    n: np.asarray(x)
    for n, x in state_dict.export(variables).items()
    if not n.startswith(case.without or ('\n',))
  }
  if spelling not in (
    'segformer',
    'encoder_decoder',
    'encoder_decoder_mmseg',
    'segformer_hub',
    'segformer_transformers5',
  ):
    tensors = {n.removeprefix('backbone.'): x for n, x in tensors.items()}
  return key_maps.respell(tensors, spelling), tensors


def test_every_spelling_has_a_case():
  assert sorted(CASES) == sorted(s.name for s in spellings.SPELLINGS)


@pytest.mark.parametrize('form', sorted(FORMATS))
@pytest.mark.parametrize('spelling', sorted(CASES))
def test_round_trip_is_bit_equal(spelling, form, tmp_path):
  """Export, import into another network, export: the same bits and names."""
  case = CASES[spelling]
  variables, other = _variables(case.network, 0), _variables(case.network, 1)
  published, ours = _file_of(case, spelling, variables)
  assert case.name in published
  path = tmp_path / 'weights.bin'
  extra = {name: np.ones((2, 3), np.float32) for name in case.extra}
  counter = {f'{case.name}.num_batches_tracked': np.array([3])}
  FORMATS[form](path, published | extra | counter)
  importer = weights.Importer(path, case.pixels, case.choose)
  loaded = weights.load(importer, other)
  again, found = _file_of(case, spelling, loaded)
  assert sorted(again) == sorted(published) and sorted(found) == sorted(ours)
  for name, x in published.items():
    assert again[name].dtype == x.dtype
    np.testing.assert_array_equal(again[name], x)
  # What the file does not have keeps its value.
  before, after = state_dict.export(other), state_dict.export(loaded)
  for name in before:
    if case.without and name.startswith(case.without):
      np.testing.assert_array_equal(before[name], after[name])
  origin = weights.provenance(importer)
  assert origin.spelling == spelling and origin.loaded == len(ours)


def test_key_and_value_are_one_layer_key_first():
  variables = _variables('daformer', 0)
  hub, ours = _file_of(CASES['mit_hub'], 'mit_hub', variables)
  block = 'segformer.encoder.block.2.1.attention.self.'
  key, value = hub[block + 'key.weight'], hub[block + 'value.weight']
  np.testing.assert_array_equal(
    ours['block3.1.attn.kv.weight'], np.concatenate([key, value])
  )
  assert key.shape == (12, 12)


def test_mmsegmentation_joins_query_key_and_value():
  variables = _variables('daformer', 0)
  file, ours = _file_of(CASES['mit_mmseg'], 'mit_mmseg', variables)
  joined = file['layers.2.1.1.attn.attn.in_proj_bias']
  np.testing.assert_array_equal(joined[:12], ours['block3.1.attn.q.bias'])
  np.testing.assert_array_equal(joined[12:], ours['block3.1.attn.kv.bias'])
  assert file['layers.2.1.1.ffn.layers.0.weight'].shape == (48, 12, 1, 1)
  assert file['layers.2.1.1.attn.sr.weight'].shape == (12, 12, 2, 2)


@pytest.mark.parametrize(
  'wrapped',
  [
    'module.{}',
    '_orig_mod.{}',
    'module._orig_mod.{}',
    '_orig_mod.module.{}',
  ],
)
def test_prefixes_of_wrappers_are_removed(wrapped, tmp_path):
  variables, other = _variables('daformer', 0), _variables('daformer', 1)
  tensors = state_dict.export(variables)
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, {wrapped.format(n): x for n, x in tensors.items()})
  importer = weights.Importer(path, 'IMAGENET', encoder_weights.choose)
  loaded = weights.load(importer, other)
  jax.tree.map(np.testing.assert_array_equal, loaded, variables)
  # The encoder alone was compiled.
  inner = {
    n.replace('backbone.', 'backbone._orig_mod.'): x for n, x in tensors.items()
  }
  assert sorted(key_maps.canonical(inner).tensors) == sorted(tensors)


def test_a_tensor_with_and_without_a_prefix_is_refused():
  tensors = {'a.weight': np.ones(1), '_orig_mod.a.weight': np.ones(1)}
  with pytest.raises(
    ValueError, match='a.weight and _orig_mod.* both a.weight'
  ):
    key_maps.canonical(tensors)


def test_an_encoder_saved_without_its_prefix():
  hub, ours = _file_of(CASES['mit_hub'], 'mit_hub', _variables('daformer', 0))
  bare = {n.removeprefix('segformer.'): x for n, x in hub.items()}
  found = key_maps.canonical(bare)
  assert found.spelling == 'mit_hub' and sorted(found.tensors) == sorted(ours)


def test_names_that_fall_together_are_refused():
  hub, _ = _file_of(CASES['mit_hub'], 'mit_hub', _variables('daformer', 0))
  name = 'segformer.encoder.layer_norm.0.weight'
  twice = hub | {name.removeprefix('segformer.'): hub[name]}
  with pytest.raises(ValueError, match=f'{name} and .* are both norm1.weight'):
    key_maps.canonical(twice)


def test_half_of_a_pair_is_an_error_that_names_it(tmp_path):
  hub, _ = _file_of(CASES['mit_hub'], 'mit_hub', _variables('daformer', 0))
  del hub['segformer.encoder.block.0.0.attention.self.value.bias']
  path = tmp_path / 'a.safetensors'
  safetensors.write(path, hub)
  importer = weights.Importer(path, 'IMAGENET', encoder_weights.choose)
  with pytest.raises(ValueError) as error:
    weights.load(importer, _variables('daformer', 1))
  assert 'block1.0.attn.kv.bias (8,) is missing' in str(error.value)
  assert 'block1.0.attn.key.bias (4,) is unexpected' in str(error.value)
  assert '\n' not in str(error.value)


def test_what_a_spelling_has_no_name_for_is_an_error():
  tensors = state_dict.export(_variables('segformer', 0))
  with pytest.raises(ValueError, match="'mit_hub' has no names for .* such as"):
    key_maps.respell(tensors, 'mit_hub')
  with pytest.raises(ValueError, match="got 'onnx', expected one of"):
    key_maps.respell(tensors, 'onnx')


def test_depths_that_are_mixed_up_are_told():
  """MiT-B2 for MiT-B5 cost ten points once; here it is an error."""
  tensors = state_dict.export(_variables('daformer', 0))
  shallow = {
    n.removeprefix('backbone.'): x
    for n, x in tensors.items()
    if n.startswith('backbone.') and '.block2.1.' not in n
  }
  chosen, name_of = encoder_weights.choose(shallow)
  with pytest.raises(ValueError) as error:
    state_dict.load(chosen, _shapes('daformer'), name_of, source='mit_b2.pth')
  missing = [n.removeprefix('backbone.') for n in tensors if '.block2.1.' in n]
  text = str(error.value)
  assert text.startswith(
    f'mit_b2.pth does not fit the network: {len(missing)} tensors differ, '
    f'{len(chosen) + len(missing)} are expected: another depth: expected '
    'stages of 1, 2, 2, 1 blocks, got 1, 1, 2, 1; '
  )
  assert text.endswith(f' is missing; and {len(missing) - 6} more')
  assert '\n' not in text
  listed = {part.split()[0] for part in text.split('; ') if 'missing' in part}
  assert len(listed) == 6 and listed < set(missing)


@pytest.mark.parametrize(
  ('name', 'pixels', 'message'),
  [
    ('torchvision_resnet', 'CAFFE', 'expected weights for CAFFE.*config.model'),
    (
      'caffe_resnet',
      'IMAGENET',
      'got weights for CAFFE pixels .spelling caffe',
    ),
  ],
)
def test_weights_for_other_pixels_are_refused(name, pixels, message, tmp_path):
  case = CASES[name]
  published, _ = _file_of(case, name, _variables('deeplab', 0))
  path = tmp_path / 'a.safetensors'
  safetensors.write(
    path, published | {n: np.ones(1, np.float32) for n in case.extra}
  )
  with pytest.raises(ValueError, match=message):
    weights.load(
      weights.Importer(path, pixels, case.choose), _variables('deeplab', 1)
    )


def test_another_networks_file_is_refused_for_its_names_not_its_pixels(
  tmp_path,
):
  path = tmp_path / 'mit.safetensors'
  names = ('patch_embed1.proj.weight', 'block1.0.norm1.weight')
  safetensors.write(path, {name: np.ones(1, np.float32) for name in names})
  importer = weights.Importer(path, 'CAFFE', lambda x: (x, state_dict.dotted))
  with pytest.raises(ValueError, match='is of another network'):
    weights.load(importer, _variables('deeplab', 0))
