"""The vision transformers of DINOv2 (arXiv 2304.07193) as encoders.

Modules and parameters have the names of the released PyTorch checkpoints.
Variants ending in `_reg` have four register tokens (arXiv 2309.16588).
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import attention
from uda_jax.models import blocks
from uda_jax.models import layers
from uda_jax.models import position_embedding
from uda_jax.models import vit_block
from uda_jax.ops import resize

PATCH = 14
# Side of the grid of position embeddings in the released files: 518 pixels.
GRID = 37
# Number of equal parts of the blocks; the output of each is a feature map.
NUM_FEATURES = 4


def grid_size(
  image_size: tuple[int, ...],
  enlarge: float = 0.0,
  *,
  multiple: int = 1,
  patch: int = PATCH,
) -> tuple[int, int]:
  """Number of (rows, columns) of patches of an image.

  Args:
    image_size: (height, width) in pixels.
    enlarge: 0: the image is enlarged to the next whole patch; else by about
      this factor, down to a whole patch (VFM-UDA: 1.1).
    multiple: with `enlarge`, rows and columns are multiples of it, at least
      one.
    patch: side of a patch in pixels.

  Example:
    >>> grid_size((512, 1024)), grid_size((1024, 1024), 1.1)
    ((37, 74), (80, 80))
  """

  def patches(side: int) -> int:
    if not enlarge:
      return -(-side // patch)
    # A ratio of two whole sides must give the other side again.
    cells = int(enlarge * side / (patch * multiple) + 1e-6)
    return multiple * max(cells, 1)

  height, width = image_size
  return patches(height), patches(width)


def hide(patches: jax.Array, mask: jax.Array, token: jax.Array) -> jax.Array:
  """Replaces hidden patches by a token.

  Args:
    patches: [B, rows, columns, D] float.
    mask: [B, rows, columns] bool, True where visible.
    token: [D] float.

  Returns:
    [B, rows, columns, D] float.
  """
  return jnp.where(mask[..., None], patches, token)


class Variant(NamedTuple):
  """Channels, blocks and register tokens."""

  width: int
  depth: int
  registers: int = 0


VARIANTS = {
  'dinov2_s': Variant(384, 12),
  'dinov2_b': Variant(768, 12),
  'dinov2_l': Variant(1024, 24),
  'dinov2_s_reg': Variant(384, 12, 4),
  'dinov2_b_reg': Variant(768, 12, 4),
  'dinov2_l_reg': Variant(1024, 24, 4),
}


class PatchEmbedding(nn.Module):
  """A dense layer of the pixels of each patch, kept as a convolution."""

  features: int
  dtype: Any = jnp.float32
  patch: int = PATCH

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return layers.Conv(
      self.features,
      self.patch,
      self.patch,
      use_bias=True,
      dtype=self.dtype,
      padding=0,
      name='proj',
    )(x)


class DINOv2(nn.Module):
  """Vision transformer of DINOv2.

  Attributes:
    width: channels.
    depth: number of blocks, a multiple of four.
    head_width: channels of an attention head.
    registers: number of register tokens. Variants with registers were trained
      with another resampling of the position embeddings, see `_positions`.
    ratio: hidden channels of the feed-forward part over the width.
    grid: side of the stored grid of position embeddings.
    enlarge: see `grid_size`.
    final_norm: whether the maps have the network's last norm; SoMA's do not.
    mask_token: whether there is a token that hidden patches are replaced by.
    num_features: maps that are returned, a divisor of the depth.
    drop_path: `blocks.drop_path`'s rate of the last block; it grows
      from 0.
    remat: see `blocks.Blocks`.
    attention_rule: see `vit_block.Attention`.
    dtype: compute dtype.
    patch: side of a patch in pixels; SoMA's files have 16.
    eps: of the norms.
  """

  width: int
  depth: int
  head_width: int = 64
  registers: int = 0
  ratio: int = 4
  grid: int = GRID
  enlarge: float = 0.0
  final_norm: bool = True
  mask_token: bool = False
  num_features: int = NUM_FEATURES
  drop_path: float = 0.0
  remat: bool = False
  attention_rule: attention.Rule = attention.AUTO
  dtype: Any = jnp.float32
  patch: int = PATCH
  eps: float = vit_block.EPS

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool = True,
    deterministic: bool = True,
    mask: jax.Array | None = None,
  ) -> tuple[jax.Array, ...]:
    """Returns the maps after each quarter of the blocks, all at stride 14.

    An image is resized (bilinear, half-pixel centers) to whole patches, see
    `grid_size`, so that the maps cover exactly the image. By default 512 x 512
    becomes 518 x 518, on which the released weights were trained last.

    Args:
      image: [B, H, W, C] normalized, any size.
      use_running_average: unused, there is no batch norm.
      deterministic: turns stochastic depth off.
      mask: [B, rows, columns] bool, True where a patch is visible; the others
        become the mask token, and keep their position. None: all are visible.

    Returns:
      `num_features` arrays [B, rows, columns, D] after the network's last norm,
      as DINOv2's own `get_intermediate_layers` gives them.
    """
    del use_running_average
    size = grid_size(image.shape[1:3], self.enlarge, patch=self.patch)
    image = resize.bilinear(image, tuple(self.patch * n for n in size))
    x = PatchEmbedding(self.width, self.dtype, self.patch, name='patch_embed')(
      image
    )
    x = self._masked(x, mask)
    x = self._with_tokens(x.reshape(len(x), -1, self.width), size)
    make_block = self._block(size)
    rates = np.linspace(0, self.drop_path, self.depth)
    x = blocks.Blocks(
      make_block, tuple(rates), self.remat, self.num_features, name='blocks'
    )(x, deterministic=deterministic)
    norm = layers.layer_norm(self.eps, self.dtype, 'norm')
    # Called for its parameters in any case: all files have them.
    normed = norm(x)
    x = normed if self.final_norm else x
    x = x[:, :, 1 + self.registers :]
    return tuple(x.reshape(self.num_features, -1, *size, self.width))

  def mask_size(self, image_size: tuple[int, ...]) -> tuple[int, int] | None:
    """Returns the (rows, columns) of `mask`, None if there is no token."""
    if not self.mask_token:
      return None
    return grid_size(image_size, self.enlarge, patch=self.patch)

  def _masked(self, patches: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Replaces hidden patches [B, rows, columns, D] by the mask token."""
    if not self.mask_token:
      if mask is not None:
        raise ValueError(
          'mask: expected None for an encoder without a mask token '
          '(config.model.mask_token), got a mask'
        )
      return patches
    store = layers.storage_dtype(self.dtype)
    zeros = nn.initializers.zeros
    token = self.param('mask_token', zeros, (1, self.width), store)
    if mask is None:
      return patches
    return hide(patches, mask, token[0].astype(self.dtype))

  def _block(self, size: tuple[int, int]):
    """Returns the maker of a block for a grid of patches."""
    del size
    return functools.partial(
      vit_block.Block,
      self.width // self.head_width,
      self.ratio,
      self.attention_rule,
      self.dtype,
    )

  def _with_tokens(
    self, patches: jax.Array, size: tuple[int, int]
  ) -> jax.Array:
    """Returns class token, registers and patches, with their positions."""
    store = layers.storage_dtype(self.dtype)
    normal = nn.initializers.normal

    def token(name: str, count: int, std: float) -> jax.Array:
      return self.param(name, normal(std), (1, count, self.width), store)

    cls_token = token('cls_token', 1, 1e-6)
    pos_embed = token('pos_embed', 1 + self.grid**2, 0.02)
    positions = self._positions(pos_embed[0, 1:], size).astype(self.dtype)
    first = [cls_token + pos_embed[:, :1]]
    if self.registers:
      # Registers have no position in the image.
      first.append(token('register_tokens', self.registers, 1e-6))
    first = [
      jnp.broadcast_to(x, (len(patches), *x.shape[1:])).astype(self.dtype)
      for x in first
    ]
    return jnp.concatenate([*first, patches + positions], 1)

  def _positions(self, stored: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Returns [h * w, D] position embeddings for a grid of patches.

    As in the released code: the stored grid as it is for an image of its size;
    else bicubic, without registers by the factor (size + 0.1) / grid (a guard
    against rounding that the weights were trained with), with registers to the
    size exactly and antialiased.
    """
    if size == (self.grid, self.grid):
      return stored
    resampled = position_embedding.resample(
      stored.reshape(self.grid, self.grid, self.width),
      size,
      offset=0.0 if self.registers else 0.1,
      antialias=bool(self.registers),
    )
    return resampled.reshape(-1, self.width)

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel: N(0, 0.02^2).

    Args:
      path: of the kernel in the encoder's parameters.
      noise: standard normal, in the shape of the kernel.
    """
    del path
    return 0.02 * noise
