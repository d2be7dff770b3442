"""Names of DINOv3 on the hub, as rows of templates.

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
