"""Tensor names of published files, one row a naming convention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from uda_jax.models.weights import dino_names
from uda_jax.models.weights import eva_names
from uda_jax.models.weights import mit_names
from uda_jax.models.weights import renaming
from uda_jax.models.weights import vgg_names


class Spelling(NamedTuple):
  """A naming convention of weight files; templates as in `renaming`.

  Attributes:
    name: identifies the spelling in commands and manifests.
    marks: templates; a file has this spelling if each fits one of its names.
    rows: (template of the file, canonical template).
    preprocessing: name of the pixel preprocessing of such files, '' where the
      names do not decide it.
    dropped: templates of names that no network here uses.
    joined: pairs of the file's tensors that form one canonical tensor, see
      `renaming.join`.
    flattened: side of the canonical kernel by name, for kernels that are
      matrices in the file, see `renaming.unflatten`.
    divided: the file's tensors that form two canonical ones, see
      `renaming.split`.
    pointwise: templates of canonical matrices that are 1x1 kernels in the
      file, see `renaming.squeeze`.
  """

  name: str
  marks: tuple[str, ...]
  rows: tuple[tuple[str, str], ...] = ()
  preprocessing: str = ''
  dropped: tuple[str, ...] = ()
  joined: tuple[renaming.Pair, ...] = ()
  flattened: Mapping[str, int] = {}
  divided: tuple[renaming.Pair, ...] = ()
  pointwise: tuple[str, ...] = ()


def _backbone(rows: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
  """Returns the rows of an encoder inside a whole network."""
  return tuple((theirs, f'backbone.{ours}') for theirs, ours in rows)


# The first whose marks a file has is the file's.
SPELLINGS: tuple[Spelling, ...] = (
  # AdaptSegNet's ImageNet file `DeepLab_resnet_pretrained_init`, converted
  # from Caffe; its `layer5` is another task's classifier.
  Spelling(
    'caffe_resnet',
    ('Scale.conv1.weight',),
    (('Scale.{*}', '{*}'),),
    'CAFFE',
    ('Scale.layer5.{*}',),
  ),
  Spelling(
    'torchvision_vgg16',
    ('features.0.weight', 'classifier.0.weight'),
    vgg_names.VGG16,
    'IMAGENET',
    ('classifier.6.{*}',),
    flattened={'fc6.weight': 7, 'fc7.weight': 1},
  ),
  # Also mmlab's plain ResNets, which are converted from it.
  Spelling(
    'torchvision_resnet',
    ('conv1.weight', 'layer1.0.{*}', 'fc.weight'),
    (),
    'IMAGENET',
    ('fc.{*}',),
  ),
  Spelling(
    'mmlab_resnet_v1c',
    ('stem.0.weight', 'layer1.0.{*}'),
    (),
    'IMAGENET',
    ('fc.{*}',),
  ),
  Spelling(
    'mit',
    ('patch_embed1.proj.weight', 'block1.0.{*}'),
    (),
    'IMAGENET',
    ('head.{*}',),
  ),
  Spelling(
    'segformer_hub',
    ('[segformer.]encoder.patch_embeddings.0.proj.weight', 'decode_head.{*}'),
    _backbone(mit_names.HUB) + mit_names.HUB_HEAD,
    'IMAGENET',
    joined=mit_names.KEY_VALUE,
  ),
  Spelling(
    'mit_hub',
    ('[segformer.]encoder.patch_embeddings.0.proj.weight',),
    mit_names.HUB,
    'IMAGENET',
    ('classifier.{*}',),
    mit_names.KEY_VALUE,
  ),
  Spelling(
    'segformer_transformers5',
    ('[segformer.]stages.0.patch_embeddings.{*}', 'decode_head.{*}'),
    _backbone(mit_names.TRANSFORMERS5) + mit_names.TRANSFORMERS5_HEAD,
    'IMAGENET',
    joined=mit_names.KEY_VALUE,
  ),
  Spelling(
    'mit_transformers5',
    ('[segformer.]stages.0.patch_embeddings.{*}',),
    mit_names.TRANSFORMERS5,
    'IMAGENET',
    ('classifier.{*}',),
    mit_names.KEY_VALUE,
  ),
  Spelling(
    'mit_mmseg',
    ('layers.0.0.projection.weight', 'layers.0.1.0.{*}'),
    mit_names.MMSEG,
    'IMAGENET',
    divided=mit_names.QUERY_KEY_VALUE,
    pointwise=mit_names.MMSEG_POINTWISE,
  ),
  # The decoders of DAFormer and its successors have the same names there.
  Spelling(
    'encoder_decoder_mmseg',
    ('backbone.layers.0.0.projection.weight', 'decode_head.{*}'),
    tuple(
      (f'backbone.{theirs}', ours)
      for theirs, ours in _backbone(mit_names.MMSEG)
    )
    + (('decode_head.{*}', 'decode_head.{*}'),),
    'IMAGENET',
    divided=mit_names.QUERY_KEY_VALUE,
    pointwise=mit_names.MMSEG_POINTWISE,
  ),
  # SoMA's converted files: query, key and value are layers of their own.
  Spelling(
    'dinov2_soma',
    ('cls_token', 'patch_embed.proj.weight', 'blocks.0.attn.q.{*}'),
    (),
    'IMAGENET',
    ('mask_token',),
    joined=(
      ('.attn.k.', '.attn.v.', '.attn.kv.', 1),
      ('.attn.q.', '.attn.kv.', '.attn.qkv.', 2),
    ),
  ),
  # timm's and the authors' files of EVA-02. The last norm is that of
  # pre-training or, in fine-tuned files, the one before the classifier.
  Spelling(
    'eva02',
    ('cls_token', 'blocks.0.attn.q_proj.weight', 'blocks.0.mlp.fc1_g.weight'),
    eva_names.LAST_NORM,
    'CLIP',
    eva_names.UNUSED,
  ),
  Spelling(
    'eva02_fused',
    ('cls_token', 'blocks.0.attn.qkv.weight', 'blocks.0.attn.q_bias'),
    eva_names.FUSED,
    'CLIP',
    eva_names.UNUSED,
    divided=eva_names.PARTS,
  ),
  Spelling(
    'eva02_authors',
    ('cls_token', 'blocks.0.attn.q_proj.weight', 'blocks.0.mlp.w1.weight'),
    eva_names.AUTHORS,
    'CLIP',
    eva_names.UNUSED,
  ),
  # `mask_token` replaces the patches that pre-training hides.
  Spelling(
    'dinov2',
    ('cls_token', 'patch_embed.proj.weight', 'blocks.0.{*}'),
    (),
    'IMAGENET',
    ('mask_token',),
  ),
  Spelling(
    'dinov3_hub',
    ('embeddings.cls_token', '[model.]layer.0.layer_scale1.lambda1'),
    dino_names.DINOV3_HUB,
    'IMAGENET',
    ('embeddings.mask_token',),
  ),
  # `norms.3` is `norm` again; ConvNeXt's files of ImageNet have a classifier.
  Spelling(
    'convnext',
    ('downsample_layers.0.0.weight', 'stages.0.0.dwconv.weight'),
    (),
    'IMAGENET',
    ('norms.{*}', 'head.{*}'),
  ),
  Spelling(
    'convnext_hub',
    (
      '[model.]stages.0.downsample_layers.0.weight',
      '[model.]stages.0.layers.0.depthwise_conv.weight',
    ),
    dino_names.CONVNEXT_HUB,
    'IMAGENET',
  ),
  # mmseg's base class makes a classifier that SegFormer's head never uses.
  Spelling(
    'segformer',
    ('backbone.{*}', 'decode_head.linear_pred.weight'),
    (),
    'IMAGENET',
    ('decode_head.conv_seg.{*}',),
  ),
  # DAFormer, HRDA, MIC, PiPa, CLUDA and what this library exports of them.
  Spelling(
    'encoder_decoder', ('backbone.{*}', 'decode_head.{*}'), (), 'IMAGENET'
  ),
  # An encoder of mmlab, under the name that it has in a whole network.
  Spelling(
    'mmlab_backbone',
    ('backbone.{*}',),
    (('backbone.{*}', '{*}'),),
    'IMAGENET',
    ('head.{*}',),
  ),
  # PixMatch, EHTDI (whose three further parameters no loss uses), LSE, BDL,
  # ADVENT, AdaptSegNet.
  Spelling(
    'deeplab_v2',
    ('conv1.weight', 'layer5.conv2d_list.0.{*}'),
    dropped=('proto_classifier.weight', 'para', 'fuse_weight_1'),
  ),
  Spelling('fcn8s_vgg', ('conv1_1.weight', 'score_fr.weight')),
)
