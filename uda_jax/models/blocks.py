"""A sequence of equal residual blocks with stochastic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import layers

_DENSE = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
_NAMED = jax.checkpoint_policies.save_only_these_names(layers.KEPT)
# Its backward kernel wants the sums of the forward one.
_CUDNN = 'dot_product_attention_fwd_wrapper'


def _is_kept(primitive: Any, *args: Any, **params: Any) -> Any:
  """Returns whether the backward pass of a block finds a result in memory.

  Results of dense layers, depthwise convolutions and attention are kept; the
  rest is computed again: layer norms and GELUs, of which it would keep four
  arrays each, and the products of queries and keys.
  """
  return (
    primitive.name == _CUDNN
    or _DENSE(primitive, *args, **params)
    or _NAMED(primitive, *args, **params)
  )


def drop_path(
  x: jax.Array, uniform: jax.Array, *, rate: jax.Array | float
) -> jax.Array:
  """Drops a residual branch for some samples and scales it up for the others.

  Stochastic depth (arXiv 1603.09382).

  Args:
    x: [B, ...] float, the branch.
    uniform: [B] float in [0, 1), one draw a sample.
    rate: fraction of samples dropped, in [0, 1).
  """
  keep = 1 - rate
  factor = jnp.floor(keep + uniform) / keep
  shape = (x.shape[0],) + (1,) * (x.ndim - 1)
  return x * factor.reshape(shape).astype(x.dtype)


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[np.ndarray]:
  """Returns the rate of every block, by stage: from 0 to `rate` over all."""
  rates = np.linspace(0, rate, sum(depths))
  return np.split(rates, np.cumsum(depths)[:-1])


class Blocks(nn.Module):
  """The equal blocks of a network or a stage, named '0', '1', ...

  Attributes:
    make_block: `make_block(name=)` or `make_block(parent=None)`; a block is
      called as `block(x)` or `block(x, uniform [2, B], rate)`, with
      `drop_path`'s draws for its two branches.
    rates: `drop_path`'s rate of each.
    remat: recomputes each block in the backward pass; False: keeps its
      products, see `layers.KEPT`, and recomputes what is cheap beside them.
    parts: splits the blocks into this number of equal parts and returns the
      stacked outputs of each; 0 returns the output of the last block alone.
  """

  make_block: Callable[..., nn.Module]
  rates: Sequence[float]
  remat: bool = False
  parts: int = 0

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    deterministic: bool,
    span: tuple[int, int] | None = None,
  ) -> jax.Array:
    """Returns what the class's docstring states.

    Args:
      x: [B, ...] float, what a block takes.
      deterministic: turns stochastic depth off.
      span: (first, last + 1) of the blocks that are applied; None: all.
    """
    begin, end = span or (0, len(self.rates))
    depth = end - begin
    if self.is_initializing():
      for i in range(begin, end):
        x = self.make_block(name=str(i))(x)
      return jnp.stack([x] * self.parts) if self.parts else x
    # A scan over stacked parameters compiles one block; unrolled, the 52 blocks
    # of MiT-B5 compile for minutes. The tree keeps the blocks apart, with the
    # names of the checkpoints.
    params = [self.variables['params'][str(i)] for i in range(begin, end)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    rates = np.asarray(self.rates[begin:end], layers.storage_dtype(x.dtype))
    uniform = None
    if not deterministic and any(rates):
      uniform = jax.random.uniform(
        self.make_rng('dropout'), (depth, 2, x.shape[0]), rates.dtype
      )

    block = self.make_block(parent=None)

    def apply(x, args):
      params, uniform, rate = args
      return block.apply({'params': params}, x, uniform, rate), None

    # A scan needs no further barrier against merging the two passes.
    apply = jax.checkpoint(
      apply, prevent_cse=False, policy=None if self.remat else _is_kept
    )
    if not self.parts:
      return jax.lax.scan(apply, x, (stacked, uniform, rates))[0]

    def apply_part(x, args):
      x, _ = jax.lax.scan(apply, x, args)
      return x, x

    # A scan of scans: still one compiled block.
    pieces = jax.tree.map(
      lambda leaf: leaf.reshape(self.parts, -1, *leaf.shape[1:]),
      (stacked, uniform, rates),
    )
    return jax.lax.scan(apply_part, x, pieces)[1]
