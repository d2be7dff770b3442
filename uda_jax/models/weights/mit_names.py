"""Names of MiT and SegFormer in other libraries, as rows of templates.

Each row is (template of the file, canonical template), see `renaming`. The
canonical names are those of the SegFormer authors.
"""

from __future__ import annotations

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
KEY_VALUE = (('.attn.key.', '.attn.value.', '.attn.kv.', 1),)

# mmsegmentation's own conversion of MiT: stage s is `layers.s`, whose parts
# are the patch embedding, the blocks and the norm. Query, key and value are
# one matrix there; the dense layers of the feed-forward part are 1x1
# convolutions.
_MMSEG = 'layers.{s}.'
_MMSEG_BLOCK = _MMSEG + '1.{j}.'
MMSEG = (
  (_MMSEG + '0.projection.{*}', 'patch_embed{s+1}.proj.{*}'),
  (_MMSEG + '0.norm.{*}', 'patch_embed{s+1}.norm.{*}'),
  (_MMSEG + '2.{*}', 'norm{s+1}.{*}'),
  (_MMSEG_BLOCK + 'norm1.{*}', 'block{s+1}.{j}.norm1.{*}'),
  (_MMSEG_BLOCK + 'norm2.{*}', 'block{s+1}.{j}.norm2.{*}'),
  (_MMSEG_BLOCK + 'attn.attn.in_proj_{*}', 'block{s+1}.{j}.attn.in_proj.{*}'),
  (_MMSEG_BLOCK + 'attn.attn.out_proj.{*}', 'block{s+1}.{j}.attn.proj.{*}'),
  (_MMSEG_BLOCK + 'attn.sr.{*}', 'block{s+1}.{j}.attn.sr.{*}'),
  (_MMSEG_BLOCK + 'attn.norm.{*}', 'block{s+1}.{j}.attn.norm.{*}'),
  (_MMSEG_BLOCK + 'ffn.layers.0.{*}', 'block{s+1}.{j}.mlp.fc1.{*}'),
  (_MMSEG_BLOCK + 'ffn.layers.1.{*}', 'block{s+1}.{j}.mlp.dwconv.dwconv.{*}'),
  (_MMSEG_BLOCK + 'ffn.layers.4.{*}', 'block{s+1}.{j}.mlp.fc2.{*}'),
)
QUERY_KEY_VALUE = (('.attn.q.', '.attn.kv.', '.attn.in_proj.', 2),)
# Canonical matrices that are 1x1 convolutions in mmsegmentation's files.
MMSEG_POINTWISE = (
  '[backbone.]block{s+1}.{j}.mlp.fc1.weight',
  '[backbone.]block{s+1}.{j}.mlp.fc2.weight',
)
