"""How files name the tensors of one network, and back to one layout.

The canonical layout is that of the authors' own checkpoints, which our modules
carry too. An encoder's file has its names bare (`patch_embed1.proj.weight`), a
whole network's has `backbone.` and `decode_head.` before them, or the names of
DeepLab and FCN. `SPELLINGS` lists the others that published files have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from uda_jax.models.weights import renaming

Tensors = renaming.Tensors


class Spelling(NamedTuple):
  """One way in which files name tensors; templates as `renaming` has them.

  Attributes:
    name: of this way, as commands and manifests tell it.
    marks: templates; a file is spelled so if each fits one of its names.
    rows: (template of the file, canonical template).
    preprocessing: name of the pixel preprocessing that comes with such files,
      '' where names do not tell it.
    dropped: templates of names that no network here has a use for.
    joined: halves of canonical tensors, see `renaming.join`.
    flattened: matrices that are canonical kernels, see `renaming.unflatten`.
  """

  name: str
  marks: tuple[str, ...]
  rows: tuple[tuple[str, str], ...] = ()
  preprocessing: str = ''
  dropped: tuple[str, ...] = ()
  joined: tuple[tuple[str, str, str], ...] = ()
  flattened: Mapping[str, int] = {}


class Canonical(NamedTuple):
  """Tensors in the canonical layout.

  Attributes:
    tensors: by canonical name.
    spelling: name of the file's spelling, '' for one that is not listed.
    preprocessing: that of the spelling.
    dropped: the file's names of what was left out.
  """

  tensors: Tensors
  spelling: str = ''
  preprocessing: str = ''
  dropped: tuple[str, ...] = ()


def _backbone(rows: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
  """The rows of an encoder that is part of a whole network."""
  return tuple((theirs, f'backbone.{ours}') for theirs, ours in rows)


# transformers before 5, and the files of its hub to this day. Key and value
# are two layers there, one in the authors' files.
_HUB = '[segformer.]encoder.'
_HUB_BLOCK = _HUB + 'block.{s}.{j}.'
HUB = (
  (_HUB + 'patch_embeddings.{s}.proj.{*}', 'patch_embed{s+1}.proj.{*}'),
  (_HUB + 'patch_embeddings.{s}.layer_norm.{*}', 'patch_embed{s+1}.norm.{*}'),
  (_HUB + 'layer_norm.{s}.{*}', 'norm{s+1}.{*}'),
  (_HUB_BLOCK + 'layer_norm_1.{*}', 'block{s+1}.{j}.norm1.{*}'),
  (_HUB_BLOCK + 'layer_norm_2.{*}', 'block{s+1}.{j}.norm2.{*}'),
  (_HUB_BLOCK + 'attention.self.query.{*}', 'block{s+1}.{j}.attn.q.{*}'),
  (_HUB_BLOCK + 'attention.self.key.{*}', 'block{s+1}.{j}.attn.key.{*}'),
  (_HUB_BLOCK + 'attention.self.value.{*}', 'block{s+1}.{j}.attn.value.{*}'),
  (_HUB_BLOCK + 'attention.self.sr.{*}', 'block{s+1}.{j}.attn.sr.{*}'),
  (
    _HUB_BLOCK + 'attention.self.layer_norm.{*}',
    'block{s+1}.{j}.attn.norm.{*}',
  ),
  (_HUB_BLOCK + 'attention.output.dense.{*}', 'block{s+1}.{j}.attn.proj.{*}'),
  (_HUB_BLOCK + 'mlp.dense1.{*}', 'block{s+1}.{j}.mlp.fc1.{*}'),
  (
    _HUB_BLOCK + 'mlp.dwconv.dwconv.{*}',
    'block{s+1}.{j}.mlp.dwconv.dwconv.{*}',
  ),
  (_HUB_BLOCK + 'mlp.dense2.{*}', 'block{s+1}.{j}.mlp.fc2.{*}'),
)
HUB_HEAD = (
  ('decode_head.linear_c.{s}.proj.{*}', 'decode_head.linear_c{s+1}.proj.{*}'),
  ('decode_head.linear_fuse.weight', 'decode_head.linear_fuse.conv.weight'),
  ('decode_head.batch_norm.{*}', 'decode_head.linear_fuse.bn.{*}'),
  ('decode_head.classifier.{*}', 'decode_head.linear_pred.{*}'),
)

# The module names of transformers 5, which its own files have only if saved
# without going back to the hub's.
_V5 = '[segformer.]stages.{s}.'
_V5_BLOCK = _V5 + 'blocks.{j}.'
_V5_SR = _V5_BLOCK + 'attention.sequence_reduction.'
TRANSFORMERS5 = (
  (_V5 + 'patch_embeddings.proj.{*}', 'patch_embed{s+1}.proj.{*}'),
  (_V5 + 'patch_embeddings.layer_norm.{*}', 'patch_embed{s+1}.norm.{*}'),
  (_V5 + 'layer_norm.{*}', 'norm{s+1}.{*}'),
  (_V5_BLOCK + 'layernorm_before.{*}', 'block{s+1}.{j}.norm1.{*}'),
  (_V5_BLOCK + 'layernorm_after.{*}', 'block{s+1}.{j}.norm2.{*}'),
  (_V5_BLOCK + 'attention.q_proj.{*}', 'block{s+1}.{j}.attn.q.{*}'),
  (_V5_BLOCK + 'attention.k_proj.{*}', 'block{s+1}.{j}.attn.key.{*}'),
  (_V5_BLOCK + 'attention.v_proj.{*}', 'block{s+1}.{j}.attn.value.{*}'),
  (_V5_SR + 'sequence_reduction.{*}', 'block{s+1}.{j}.attn.sr.{*}'),
  (_V5_SR + 'layer_norm.{*}', 'block{s+1}.{j}.attn.norm.{*}'),
  (_V5_BLOCK + 'attention.o_proj.{*}', 'block{s+1}.{j}.attn.proj.{*}'),
  (_V5_BLOCK + 'mlp.fc1.{*}', 'block{s+1}.{j}.mlp.fc1.{*}'),
  (_V5_BLOCK + 'mlp.dwconv.dwconv.{*}', 'block{s+1}.{j}.mlp.dwconv.dwconv.{*}'),
  (_V5_BLOCK + 'mlp.fc2.{*}', 'block{s+1}.{j}.mlp.fc2.{*}'),
)
TRANSFORMERS5_HEAD = (
  (
    'decode_head.linear_projections.{s}.proj.{*}',
    'decode_head.linear_c{s+1}.proj.{*}',
  ),
  *HUB_HEAD[1:],
)
KEY_VALUE = (('.attn.key.', '.attn.value.', '.attn.kv.'),)

# torchvision's places of VGG-16's layers in its two sequences.
VGG16 = tuple(
  (f'{theirs}.{{*}}', f'{ours}.{{*}}')
  for theirs, ours in {
    'features.0': 'conv1_1',
    'features.2': 'conv1_2',
    'features.5': 'conv2_1',
    'features.7': 'conv2_2',
    'features.10': 'conv3_1',
    'features.12': 'conv3_2',
    'features.14': 'conv3_3',
    'features.17': 'conv4_1',
    'features.19': 'conv4_2',
    'features.21': 'conv4_3',
    'features.24': 'conv5_1',
    'features.26': 'conv5_2',
    'features.28': 'conv5_3',
    'classifier.0': 'fc6',
    'classifier.3': 'fc7',
  }.items()
)

# Training on several devices puts this before all names.
PARALLEL = (('module.{*}', '{*}'),)

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
    VGG16,
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
    (_HUB + 'patch_embeddings.0.proj.weight', 'decode_head.{*}'),
    _backbone(HUB) + HUB_HEAD,
    'IMAGENET',
    joined=KEY_VALUE,
  ),
  Spelling(
    'mit_hub',
    (_HUB + 'patch_embeddings.0.proj.weight',),
    HUB,
    'IMAGENET',
    ('classifier.{*}',),
    KEY_VALUE,
  ),
  Spelling(
    'segformer_transformers5',
    ('[segformer.]stages.0.patch_embeddings.{*}', 'decode_head.{*}'),
    _backbone(TRANSFORMERS5) + TRANSFORMERS5_HEAD,
    'IMAGENET',
    joined=KEY_VALUE,
  ),
  Spelling(
    'mit_transformers5',
    ('[segformer.]stages.0.patch_embeddings.{*}',),
    TRANSFORMERS5,
    'IMAGENET',
    ('classifier.{*}',),
    KEY_VALUE,
  ),
  # `mask_token` stands for the patches that pre-training hides.
  Spelling(
    'dinov2',
    ('cls_token', 'patch_embed.proj.weight', 'blocks.0.{*}'),
    (),
    'IMAGENET',
    ('mask_token',),
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


def recognise(tensors: Mapping[str, np.ndarray]) -> Spelling | None:
  """Returns the spelling of a file's names; None: it is not listed."""
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
      those that a spelling has no row for, stay as they are.

  Raises:
    ValueError: two tensors would get one name.
  """
  tensors = renaming.rename(tensors, PARALLEL)
  spelling = recognise(tensors)
  if spelling is None:
    return Canonical(tensors)
  used = {
    n: x
    for n, x in tensors.items()
    if not any(renaming.fits(n, t) for t in spelling.dropped)
  }
  found = renaming.rename(used, spelling.rows)
  found = renaming.join(found, spelling.joined)
  found = renaming.unflatten(found, spelling.flattened)
  return Canonical(
    found,
    spelling.name,
    spelling.preprocessing,
    tuple(n for n in tensors if n not in used),
  )


def respell(tensors: Mapping[str, np.ndarray], name: str) -> Tensors:
  """Returns canonical tensors by the names of a spelling, what it has for them.

  Args:
    tensors: by canonical name; all of them must have a name in the spelling.
    name: of the spelling.
  """
  names = [spelling.name for spelling in SPELLINGS]
  if name not in names:
    raise ValueError(f'spelling: got {name!r}, expected one of {names}')
  spelling = SPELLINGS[names.index(name)]
  found = renaming.flatten(tensors, spelling.flattened)
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
