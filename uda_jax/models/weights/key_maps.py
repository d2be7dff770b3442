"""Tensor names of published files, mapped to one canonical layout and back.

The canonical layout is that of the authors' own checkpoints; our modules have
the same names. Names are bare in the file of an encoder
(`patch_embed1.proj.weight`), and have the prefixes `backbone.` and
`decode_head.` in that of a whole network, or the names of DeepLab and FCN.
`SPELLINGS` lists all other spellings that published files use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from uda_jax.models.weights import dino_names
from uda_jax.models.weights import mit_names
from uda_jax.models.weights import renaming
from uda_jax.models.weights import vgg_names

Tensors = renaming.Tensors


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


class Canonical(NamedTuple):
  """Tensors in the canonical layout.

  Attributes:
    tensors: by canonical name.
    spelling: name of the file's spelling, '' if it is not listed.
    preprocessing: that of the spelling.
    dropped: names of the tensors that were left out, as in the file.
  """

  tensors: Tensors
  spelling: str = ''
  preprocessing: str = ''
  dropped: tuple[str, ...] = ()


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


def recognize(tensors: Mapping[str, np.ndarray]) -> Spelling | None:
  """Returns the spelling of a file's names, None if it is not listed."""
  for spelling in SPELLINGS:
    if all(
      any(renaming.fits(name, mark) for name in tensors)
      for mark in spelling.marks
    ):
      return spelling
  return None


def canonical(tensors: Mapping[str, np.ndarray]) -> Canonical:
  """Returns tensors by their canonical names.

  Args:
    tensors: of one network, see `parts.take`. Names of no listed spelling, and
      names that a spelling has no row for, stay as they are.

  Raises:
    ValueError: two tensors would get one name.
  """
  tensors = renaming.unwrap(tensors)
  spelling = recognize(tensors)
  if spelling is None:
    return Canonical(tensors)
  used = {
    n: x
    for n, x in tensors.items()
    if not any(renaming.fits(n, t) for t in spelling.dropped)
  }
  found = renaming.rename(used, spelling.rows)
  found = renaming.join(found, spelling.joined)
  found = renaming.split(found, spelling.divided)
  found = renaming.squeeze(found, spelling.pointwise)
  found = renaming.unflatten(found, spelling.flattened)
  return Canonical(
    found,
    spelling.name,
    spelling.preprocessing,
    tuple(n for n in tensors if n not in used),
  )


def respell(tensors: Mapping[str, np.ndarray], name: str) -> Tensors:
  """Returns canonical tensors by the names of a spelling.

  Args:
    tensors: by canonical name.
    name: of the spelling.

  Raises:
    ValueError: the spelling is unknown, or has no name for a tensor.
  """
  names = [spelling.name for spelling in SPELLINGS]
  if name not in names:
    raise ValueError(f'spelling: got {name!r}, expected one of {names}')
  spelling = SPELLINGS[names.index(name)]
  found = renaming.flatten(tensors, spelling.flattened)
  found = renaming.unsqueeze(found, spelling.pointwise)
  found = renaming.join(found, spelling.divided)
  found = renaming.split(found, spelling.joined)
  rows = renaming.swapped(spelling.rows)
  nameless = [
    n
    for n in found
    if rows and not any(renaming.fits(n, ours) for ours, _ in rows)
  ]
  if nameless:
    raise ValueError(
      f'spelling {name!r} has no names for {len(nameless)} of '
      f'{len(found)} tensors, such as {nameless[0]}'
    )
  return renaming.rename(found, rows)
