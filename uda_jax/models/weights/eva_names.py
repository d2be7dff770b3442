"""Names of EVA-02 in its files, as rows of templates.

Each row is (template of the file, canonical template), see `renaming`. The
canonical names are those of timm's larger sizes; the names of the authors' own
files are taken from timm's converter.
"""

from __future__ import annotations

_REST = ('{*}', '{*}')
_BIASES = (
  ('blocks.{j}.attn.q_bias', 'blocks.{j}.attn.q_proj.bias'),
  ('blocks.{j}.attn.v_bias', 'blocks.{j}.attn.v_proj.bias'),
)
# timm moves the last norm of pre-training to where its classifier has one.
LAST_NORM = (('fc_norm.{*}', 'norm.{*}'), _REST)
# The smaller sizes: query, key and value are one layer, and both parts of the
# feed-forward one.
FUSED = (
  *_BIASES,
  ('blocks.{j}.mlp.fc1.{*}', 'blocks.{j}.mlp.fc1.{*}'),
  ('blocks.{j}.mlp.w12.{*}', 'blocks.{j}.mlp.fc1.{*}'),
  ('blocks.{j}.mlp.fc2.{*}', 'blocks.{j}.mlp.fc2.{*}'),
  ('blocks.{j}.mlp.w3.{*}', 'blocks.{j}.mlp.fc2.{*}'),
  *LAST_NORM,
)
PARTS = (
  ('.attn.k_proj.', '.attn.v_proj.', '.attn.kv.', 1),
  ('.attn.q_proj.', '.attn.kv.', '.attn.qkv.', 2),
  ('.mlp.fc1_g.', '.mlp.fc1_x.', '.mlp.fc1.', 1),
)
# The authors' files of the larger sizes.
AUTHORS = (
  *_BIASES,
  ('blocks.{j}.mlp.w1.{*}', 'blocks.{j}.mlp.fc1_g.{*}'),
  ('blocks.{j}.mlp.w2.{*}', 'blocks.{j}.mlp.fc1_x.{*}'),
  ('blocks.{j}.mlp.ffn_ln.{*}', 'blocks.{j}.mlp.norm.{*}'),
  ('blocks.{j}.mlp.w3.{*}', 'blocks.{j}.mlp.fc2.{*}'),
  ('norm.{*}', 'norm.{*}'),
  *LAST_NORM,
)
# Classifiers, the token of hidden patches, and rotations, which are computed.
UNUSED = (
  'head.{*}',
  'lm_head.{*}',
  'mask_token',
  'rope.{*}',
  'blocks.{j}.attn.rope.{*}',
)
