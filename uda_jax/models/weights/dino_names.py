"""Names of DINOv3 on the hub, as rows of templates: transformers, ConvNeXt.

Each row is (template of the file, canonical template), see `renaming`. The
canonical names are those of DINOv2's authors where the parts are the same.
"""

from __future__ import annotations

# `model.` is in the module names of transformers 5, not in the hub's files.
_LAYER, _BLOCK = '[model.]layer.{j}.', 'blocks.{j}.'
# Files of facebook/dinov3-vit*.
DINOV3_HUB = (
  ('embeddings.cls_token', 'cls_token'),
  ('embeddings.register_tokens', 'register_tokens'),
  ('embeddings.patch_embeddings.{*}', 'patch_embed.proj.{*}'),
  (_LAYER + 'norm1.{*}', _BLOCK + 'norm1.{*}'),
  (_LAYER + 'norm2.{*}', _BLOCK + 'norm2.{*}'),
  (_LAYER + 'attention.{*}', _BLOCK + 'attn.{*}'),
  (_LAYER + 'mlp.up_proj.{*}', _BLOCK + 'mlp.fc1.{*}'),
  (_LAYER + 'mlp.down_proj.{*}', _BLOCK + 'mlp.fc2.{*}'),
  (_LAYER + 'layer_scale1.lambda1', _BLOCK + 'ls1.gamma'),
  (_LAYER + 'layer_scale2.lambda1', _BLOCK + 'ls2.gamma'),
  ('norm.{*}', 'norm.{*}'),
)

# Files of facebook/dinov3-convnext-*, whose authors number the downsampling of
# a stage apart from its blocks.
_STAGE = '[model.]stages.{s}.'
_CELL, _OURS = _STAGE + 'layers.{j}.', 'stages.{s}.{j}.'
CONVNEXT_HUB = (
  (_STAGE + 'downsample_layers.{*}', 'downsample_layers.{s}.{*}'),
  (_CELL + 'depthwise_conv.{*}', _OURS + 'dwconv.{*}'),
  (_CELL + 'layer_norm.{*}', _OURS + 'norm.{*}'),
  (_CELL + 'pointwise_conv1.{*}', _OURS + 'pwconv1.{*}'),
  (_CELL + 'pointwise_conv2.{*}', _OURS + 'pwconv2.{*}'),
  (_CELL + 'gamma', _OURS + 'gamma'),
  ('layer_norm.{*}', 'norm.{*}'),
)
