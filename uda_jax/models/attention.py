"""Scaled dot-product attention in the precision of its input.

Plain attention keeps the products of all queries and keys: 164 MB for each
head, image and block of a transformer that sees 6,401 tokens (DINOv2 at 1120
x 1120). Blocks of queries keep a bounded part of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import contextvars
import math
from typing import NamedTuple

import jax
from jax import ad_checkpoint
import jax.numpy as jnp

from uda_jax import types
from uda_jax.models import layers

# 'auto' is plain up to here. MiT on images up to 1024 x 2048, and DINOv2 on
# crops of 512 (1,370 tokens), lie below; DINOv2 at 1024 (5,477) lies above.
PLAIN_KEYS = 2048
# Products of a block of queries and all keys, for one head of one image.
BLOCK_PAIRS = 2**20
# Values of `config.model.attention`.
NAMES = ('auto', 'plain', 'blockwise', 'cudnn', 'pallas')
# Queries, and keys, that JAX's Pallas kernel for TPUs holds at a time.
PALLAS_BLOCK = 512
_LANES = 128
# Oldest NVIDIA cards that cuDNN has the fused kernel for (Ampere).
CUDNN_CAPABILITY = 8.0


class Rule(NamedTuple):
  """Choice of an implementation by the number of keys.

  Attributes:
    long: a value of `NAMES` but 'auto', for more keys than `above`.
    above: with up to this number of keys it is plain.
  """

  long: str = 'blockwise'
  above: int = PLAIN_KEYS

  def choose(self, keys: int) -> str:
    """Returns the name of the implementation for a number of keys."""
    return self.long if keys > self.above else 'plain'


AUTO = Rule()


# The kernel of the device that programs are traced for; None: of this machine.
_TRACED_AS: contextvars.ContextVar[str | None] = contextvars.ContextVar(
  'attention', default=None
)


@contextlib.contextmanager
def traced_as(kernel: str | None) -> Iterator[None]:
  """Sets the fused kernel inside the context, for programs of other devices.

  Args:
    kernel: 'cudnn', 'pallas', '' for none, or None: what this machine has.
  """
  token = _TRACED_AS.set(kernel)
  try:
    yield
  finally:
    _TRACED_AS.reset(token)


def fused(dtype: str) -> str:
  """Returns the fused kernel that runs here in `dtype`, '' without one.

  Both kernels multiply in 16 bits: cuDNN's takes no other input, and a TPU's
  would round float32 even with `matmul_precision='highest'`.
  """
  if dtype != 'bfloat16':
    return ''
  if (kernel := _TRACED_AS.get()) is not None:
    return kernel
  if jax.default_backend() == 'tpu':
    return 'pallas'
  if jax.default_backend() == 'gpu':
    device = jax.local_devices()[0]
    capability = float(getattr(device, 'compute_capability', 0))
    return 'cudnn' if capability >= CUDNN_CAPABILITY else ''
  return ''


_NEEDS = {
  'cudnn': f'an NVIDIA card of compute capability {CUDNN_CAPABILITY} or later',
  'pallas': 'a TPU',
}


def rule(config: types.Config) -> Rule:
  """Returns the rule that `config.model.attention` names.

  'auto': plain up to `PLAIN_KEYS` keys; beyond, the fused kernel of the device
  where it has one, else in blocks. The other names hold for any number of keys.

  Args:
    config: `config.model`; `attention` and `dtype` are read.
  """
  name = config.attention
  if name not in NAMES:
    raise ValueError(
      f'config.model.attention: expected one of {NAMES}, got {name!r}'
    )
  if name == 'auto':
    return Rule(fused(config.dtype) or 'blockwise')
  if name in _NEEDS and name != fused(config.dtype):
    raise ValueError(
      f'config.model.attention: {name!r} needs {_NEEDS[name]} and '
      f"config.model.dtype 'bfloat16', got {jax.default_backend()!r} and "
      f"{config.dtype!r}; 'auto' works everywhere"
    )
  return Rule(name, above=0)


def describe(config: types.Config) -> str:
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
  ways = dict(plain=plain, blockwise=blockwise, cudnn=cudnn, pallas=pallas)
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


def cudnn(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
  """Attention by cuDNN's fused kernel, in 16 bits; see `attend`.

  JAX refuses to differentiate it at odd lengths, such as the 6,401 tokens of
  DINOv2 at 1120 x 1120: there a row of zeros is added and left out by cuDNN.

  Args:
    query: [B, T, H, N] bfloat16 or float16.
    key: [B, S, H, N], as `query`.
    value: [B, S, H, N], as `query`.
  """
  queries, keys = query.shape[1], key.shape[1]
  query_lengths = key_lengths = None
  if queries % 2 or keys % 2:
    query, key, value = (_padded(x, 2) for x in (query, key, value))
    # Zeros of the query's, since JAX's rule for `vmap` takes the lengths to be
    # mapped wherever the query is.
    zeros = 0 * jnp.isnan(query[:, 0, 0, 0]).astype(jnp.int32)
    query_lengths, key_lengths = zeros + queries, zeros + keys
  mixed = jax.nn.dot_product_attention(
    query,
    key,
    value,
    query_seq_lengths=query_lengths,
    key_value_seq_lengths=key_lengths,
    implementation='cudnn',
  )
  return mixed[:, :queries]


def pallas(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
  """Attention by JAX's flash kernel for TPUs (arXiv 2205.14135); see `attend`.

  XLA cannot divide the kernel over devices: with several, call it where arrays
  are one device's own (`jax.shard_map`), as training and scoring do.

  Args:
    query: [B, T, H, N] float.
    key: [B, S, H, N] float.
    value: [B, S, H, N] float.
  """
  # Loaded on TPUs alone: no other device needs Pallas.
  from jax.experimental.pallas.ops.tpu import flash_attention

  queries, keys = query.shape[1], key.shape[1]
  q_block, k_block = (_block(length) for length in (queries, keys))
  # Rows of zeros complete the last blocks; keys of another segment have no
  # weight, and what rows of queries beyond the last give is cut off.
  args = [
    jnp.moveaxis(_padded(x, block), 2, 1)
    for x, block in ((query, q_block), (key, k_block), (value, k_block))
  ]
  segment = lambda x, length: jnp.broadcast_to(
    (jnp.arange(x.shape[2]) >= length).astype(jnp.int32),
    (x.shape[0], x.shape[2]),
  )
  mixed = flash_attention.flash_attention(
    *args,
    segment_ids=flash_attention.SegmentIds(
      segment(args[0], queries), segment(args[1], keys)
    ),
    sm_scale=query.shape[-1] ** -0.5,
    block_sizes=flash_attention.BlockSizes(
      block_b=1,
      block_q=q_block,
      block_k_major=k_block,
      block_k=k_block,
      block_q_major_dkv=q_block,
      block_q_dkv=q_block,
      block_k_major_dkv=k_block,
      block_k_dkv=k_block,
      block_q_dq=q_block,
      block_k_major_dq=k_block,
      block_k_dq=k_block,
    ),
  )
  return jnp.moveaxis(mixed, 1, 2)[:, :queries]


def _block(length: int) -> int:
  """Returns the rows of a block: whole lanes, at most `PALLAS_BLOCK`."""
  return min(PALLAS_BLOCK, -(-length // _LANES) * _LANES)


def _padded(x: jax.Array, block: int) -> jax.Array:
  """Returns [B, T, H, N] with zeros up to a multiple of `block` rows."""
  return jnp.pad(x, ((0, 0), (0, -x.shape[1] % block), (0, 0), (0, 0)))
