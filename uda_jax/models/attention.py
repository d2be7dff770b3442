"""Scaled dot-product attention in the precision of its input.

Plain attention keeps the products of all queries and keys: 164 MB for each
head, image and block of a transformer that sees 6,401 tokens (DINOv2 at 1120
x 1120). Blocks of queries keep a bounded part of them at a time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
from jax import ad_checkpoint
import jax.numpy as jnp

from uda_jax.models import layers

# 'auto' is plain up to here. MiT on images up to 1024 x 2048, and DINOv2 on
# crops of 512 (1,370 tokens), lie below; DINOv2 at 1024 (5,477) lies above.
PLAIN_KEYS = 2048
# Products of a block of queries and all keys, for one head of one image.
BLOCK_PAIRS = 2**20
# Values of `config.model.attention`.
NAMES = ('auto', 'plain', 'blockwise', 'cudnn')
# Oldest NVIDIA cards that cuDNN has the fused kernel for (Ampere).
CUDNN_CAPABILITY = 8.0


class Rule(NamedTuple):
  """Choice of an implementation by the number of keys.

  Attributes:
    long: 'plain', 'blockwise' or 'cudnn', for more keys than `above`.
    above: with up to this number of keys it is plain.
  """

  long: str = 'blockwise'
  above: int = PLAIN_KEYS

  def choose(self, keys: int) -> str:
    """Returns the name of the implementation for a number of keys."""
    return self.long if keys > self.above else 'plain'


AUTO = Rule()


def has_cudnn(dtype: str) -> bool:
  """Returns whether cuDNN's kernel runs here: 16 bits, on Ampere or later."""
  if dtype != 'bfloat16' or jax.default_backend() != 'gpu':
    return False
  device = jax.local_devices()[0]
  return float(getattr(device, 'compute_capability', 0)) >= CUDNN_CAPABILITY


def rule(config) -> Rule:
  """Returns the rule that `config.model.attention` names.

  'auto': plain up to `PLAIN_KEYS` keys; beyond, cuDNN's fused kernel where it
  runs, else in blocks. The other names hold for any number of keys.

  Args:
    config: `config.model`; `attention` and `dtype` are read.
  """
  name = config.attention
  if name not in NAMES:
    raise ValueError(
      f'config.model.attention: expected one of {NAMES}, got {name!r}'
    )
  if name == 'auto':
    return Rule('cudnn' if has_cudnn(config.dtype) else 'blockwise')
  if name == 'cudnn' and not has_cudnn(config.dtype):
    raise ValueError(
      "config.model.attention: 'cudnn' needs an NVIDIA card of compute "
      f'capability {CUDNN_CAPABILITY} or later and config.model.dtype '
      f"'bfloat16', got {jax.default_backend()!r} and {config.dtype!r}; 'auto' "
      'works everywhere'
    )
  return Rule(name, above=0)


def describe(config) -> str:
  """Returns which attention `config.model` runs, in a few words."""
  chosen = rule(config)
  if not chosen.above:
    return chosen.long
  return f'plain up to {chosen.above} keys, beyond {chosen.long}'


def attend(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  *,
  rule: Rule = AUTO,
) -> jax.Array:
  """Returns softmax(query key^T / sqrt(N)) value for every head.

  Args:
    query: [B, T, H, N] float.
    key: [B, S, H, N] float.
    value: [B, S, H, N] float.
    rule: which implementation; they differ by rounding.

  Returns:
    [B, T, H, N].
  """
  name = rule.choose(key.shape[1])
  if name == 'cudnn':
    mixed = jax.nn.dot_product_attention(
      query, key, value, implementation='cudnn'
    )
  else:
    ways = {'plain': plain, 'blockwise': blockwise}
    mixed = ways[name](query, key, value)
  return ad_checkpoint.checkpoint_name(mixed, layers.KEPT)


def plain(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
  """Attention that keeps the products of all pairs; see `attend`."""
  if query.dtype != jnp.float64:
    return jax.nn.dot_product_attention(query, key, value, implementation='xla')
  # JAX's function computes the softmax in float32 for every input dtype.
  scores = jnp.einsum('bthn,bshn->bhts', query, key) * query.shape[-1] ** -0.5
  return jnp.einsum('bhts,bshn->bthn', jax.nn.softmax(scores), value)


def blockwise(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  *,
  pairs: int = BLOCK_PAIRS,
) -> jax.Array:
  """Attention of one block of queries after the other; see `attend`.

  A block sees all keys, so its softmax is the plain one. The backward pass
  computes the products of a block again, as flash attention does (arXiv
  2205.14135).

  Args:
    query: [B, T, H, N] float.
    key: [B, S, H, N] float.
    value: [B, S, H, N] float.
    pairs: most products of a block, for one head of one image; at least one
      query.
  """
  batch, length, heads, width = query.shape
  most = max(pairs // key.shape[1], 1)
  count = max(math.ceil(length / most), 1)
  size = math.ceil(length / count)
  # Rows of zeros complete the last block; what they give is cut off.
  padded = jnp.pad(query, ((0, 0), (0, count * size - length), (0, 0), (0, 0)))
  blocks = padded.reshape(batch, count, size, heads, width).swapaxes(0, 1)

  # A loop needs no further barrier against merging the two passes.
  def one(block: jax.Array) -> jax.Array:
    return plain(block, key, value)

  done = jax.lax.map(jax.checkpoint(one, prevent_cse=False), blocks)
  done = done.swapaxes(0, 1).reshape(batch, count * size, heads, width)
  return done[:, :length]
