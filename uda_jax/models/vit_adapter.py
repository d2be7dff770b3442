"""The ViT-Adapter (arXiv 2205.08534) on DINOv2, as VFM-UDA++ has it.

A small convolutional network of the image and the transformer exchange their
features four times; four maps at strides 4 to 32 come out. Modules and
parameters carry the names of the released PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from uda_jax.models import blocks
from uda_jax.models import deformable_attention
from uda_jax.models import dinov2
from uda_jax.models import layers
from uda_jax.models import spatial_prior
from uda_jax.ops import deformable_attention as sampling
from uda_jax.ops import resize

# Of the adapter's layer norms; the transformer's have another.
EPS = 1e-5
INTERACTIONS = 4
EXTRA_EXTRACTORS = 2
# Strides of the maps, and the side in patches that images are a multiple of:
# 224 pixels are whole cells of 14 and of 32 pixels.
STRIDES = (4, 8, 16, 32)
MULTIPLE = 16
# What the encoder has beside DINOv2: modules, and an array.
OWN = frozenset(
  ('level_embed', 'spm', 'interactions', 'up', 'norm1', 'norm2', 'norm3')
) | {'norm4'}

Shapes = Sequence[tuple[int, int]]


class _Depthwise(nn.Module):
  """A depthwise convolution of the maps that tokens are made of."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, tokens: jax.Array, shapes: Shapes) -> jax.Array:
    conv = layers.DepthwiseConv(use_bias=True, dtype=self.dtype, name='dwconv')
    maps = [conv(x) for x in to_maps(tokens, shapes)]
    return to_tokens(maps)


class _FeedForward(nn.Module):
  """Dense, depthwise convolution, GELU, dense."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, shapes: Shapes) -> jax.Array:
    width = x.shape[-1]
    x = layers.dense(width // 4, self.dtype, 'fc1')(x)
    x = _Depthwise(self.dtype, name='dwconv')(x, shapes)
    x = jax.nn.gelu(x, approximate=False)
    return layers.dense(width, self.dtype, 'fc2')(x)


class Injector(nn.Module):
  """Adds what patches find in the maps, by a factor that starts at 0."""

  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, size: tuple[int, int], c: jax.Array, shapes: Shapes
  ) -> jax.Array:
    store = layers.storage_dtype(self.dtype)
    gamma = self.param('gamma', nn.initializers.zeros, x.shape[-1:], store)
    found = deformable_attention.DeformableAttention(
      self.heads, dtype=self.dtype, name='attn'
    )(
      layers.layer_norm(EPS, self.dtype, 'query_norm')(x),
      sampling.cell_centers([size]),
      layers.layer_norm(EPS, self.dtype, 'feat_norm')(c),
      shapes,
    )
    return x + gamma.astype(self.dtype) * found


class Extractor(nn.Module):
  """Adds what the maps find in the patches, then a feed-forward part."""

  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: jax.Array, size: tuple[int, int], c: jax.Array, shapes: Shapes
  ) -> jax.Array:
    c = c + deformable_attention.DeformableAttention(
      self.heads, dtype=self.dtype, name='attn'
    )(
      layers.layer_norm(EPS, self.dtype, 'query_norm')(c),
      sampling.cell_centers(shapes),
      layers.layer_norm(EPS, self.dtype, 'feat_norm')(x),
      [size],
    )
    normed = layers.layer_norm(EPS, self.dtype, 'ffn_norm')(c)
    return c + _FeedForward(self.dtype, name='ffn')(normed, shapes)


class _Extractors(nn.Module):
  """Extractors one after the other, named '0', '1', ..."""

  count: int
  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, size, c, shapes) -> jax.Array:
    for i in range(self.count):
      c = Extractor(self.heads, self.dtype, name=str(i))(x, size, c, shapes)
    return c


class Interaction(nn.Module):
  """Injection, some of the transformer's blocks, extraction.

  Attributes:
    heads: of the deformable attention.
    extra: whether further extractors follow.
    dtype: compute dtype.
  """

  heads: int
  extra: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, cls, c, run_blocks, size, shapes):
    """Returns the patches [B, T, D], the class token and the maps' tokens."""
    x = Injector(self.heads, self.dtype, name='injector')(x, size, c, shapes)
    x = run_blocks(jnp.concatenate([cls, x], 1))
    cls, x = x[:, :1], x[:, 1:]
    c = Extractor(self.heads, self.dtype, name='extractor')(x, size, c, shapes)
    if self.extra:
      c = _Extractors(
        EXTRA_EXTRACTORS, self.heads, self.dtype, name='extra_extractors'
      )(x, size, c, shapes)
    return x, cls, c


class _Interactions(nn.Module):
  """The interactions, named '0', '1', ...; the last has further extractors."""

  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, cls, c, run_blocks, size, shapes):
    """Returns the patches after each interaction, and the maps' tokens."""
    outputs = []
    for i in range(INTERACTIONS):
      x, cls, c = Interaction(
        self.heads, i == INTERACTIONS - 1, self.dtype, name=str(i)
      )(x, cls, c, functools.partial(run_blocks, i), size, shapes)
      outputs.append(x)
    return outputs, c


def to_maps(tokens: jax.Array, shapes: Shapes) -> list[jax.Array]:
  """Splits tokens [B, N, D] into maps [B, rows, columns, D]."""
  ends = np.cumsum([rows * columns for rows, columns in shapes])
  return [
    x.reshape(len(x), *shape, x.shape[-1])
    for x, shape in zip(jnp.split(tokens, ends[:-1], 1), shapes)
  ]


def to_tokens(maps: Sequence[jax.Array]) -> jax.Array:
  """Joins maps [B, rows, columns, D] as tokens [B, N, D]."""
  return jnp.concatenate([x.reshape(len(x), -1, x.shape[-1]) for x in maps], 1)


class DINOv2Adapter(dinov2.DINOv2):
  """DINOv2, without its last norm, that exchanges features with a CNN.

  Attributes:
    stem_width: see `spatial_prior.SpatialPrior`.
  """

  stem_width: int = 64

  @nn.compact
  def __call__(
    self,
    image: jax.Array,
    *,
    use_running_average: bool = True,
    deterministic: bool = True,
    mask: jax.Array | None = None,
  ) -> tuple[jax.Array, ...]:
    """Returns maps [B, h, w, D] at strides 4, 8, 16, 32.

    Args:
      image: [B, H, W, C] normalized; it is resized to a multiple of 224, see
        `inner_size`.
      use_running_average: batch norm's switch.
      deterministic: turns stochastic depth off.
      mask: [B, *mask_size] bool, True where the resized image is visible; the
        rest is 0. None: all is visible.
    """
    height, width = inner = self.mask_size(image.shape[1:3])
    size = (height // dinov2.PATCH, width // dinov2.PATCH)
    shapes = [(height // stride, width // stride) for stride in STRIDES]
    image = resize.bilinear(image, inner)
    if mask is not None:
      image = jnp.where(mask[..., None], image, 0)
    switch = dict(use_running_average=use_running_average)
    first, *maps = spatial_prior.SpatialPrior(
      self.width, self.stem_width, self.dtype, name='spm'
    )(image, **switch)
    c = to_tokens(self._with_levels(maps))
    x = dinov2.PatchEmbedding(self.width, self.dtype, name='patch_embed')(image)
    x = self._with_tokens(x.reshape(len(x), -1, self.width), size)
    run_blocks = functools.partial(self._run, self._blocks(), deterministic)
    outputs, c = _Interactions(
      self.width // self.head_width, self.dtype, name='interactions'
    )(x[:, 1:], x[:, :1], c, run_blocks, size, shapes[1:])
    maps = to_maps(c, shapes[1:])
    up = layers.Upsample(self.width, use_bias=True, dtype=self.dtype, name='up')
    maps = [up(maps[0]) + first, *maps]
    features = []
    for i, (x, own) in enumerate(zip(outputs, maps), 1):
      x = x.reshape(len(x), *size, self.width)
      x = own + resize.bilinear(x, own.shape[1:3])
      norm = layers.BatchNorm(
        spatial_prior.MOMENTUM, dtype=self.dtype, name=f'norm{i}'
      )
      features.append(norm(x, **switch))
    return tuple(features)

  def mask_size(self, image_size: tuple[int, ...]) -> tuple[int, int]:
    """Returns the (height, width) of the resized image."""
    enlarge = self.enlarge or 1.0
    rows, columns = dinov2.grid_size(image_size, enlarge, multiple=MULTIPLE)
    return dinov2.PATCH * rows, dinov2.PATCH * columns

  def _with_levels(self, maps: list[jax.Array]) -> list[jax.Array]:
    """Adds a learnt vector to each map."""
    store = layers.storage_dtype(self.dtype)
    levels = self.param(
      'level_embed', nn.initializers.normal(1.0), (len(maps), self.width), store
    )
    return [x + level for x, level in zip(maps, levels.astype(self.dtype))]

  def _blocks(self) -> blocks.Blocks:
    rates = np.linspace(0, self.drop_path, self.depth)
    return blocks.Blocks(
      self._block((0, 0)), tuple(rates), self.remat, name='blocks'
    )

  def _run(self, all_blocks, deterministic, number, x: jax.Array) -> jax.Array:
    """Runs the blocks of an interaction."""
    count = self.depth // INTERACTIONS
    span = (count * number, count * (number + 1))
    return all_blocks(x, deterministic=deterministic, span=span)

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the released start: He's of the outputs, Xavier's, N(0, 0.02^2).

    Args:
      path: of the kernel in the encoder's parameters.
      noise: standard normal, in the shape of the kernel.
    """
    if path[-2] in ('sampling_offsets', 'attention_weights'):
      return jnp.zeros_like(noise)
    if path[-2] in ('value_proj', 'output_proj'):
      uniform = jax.scipy.special.erf(noise / math.sqrt(2))
      return uniform * math.sqrt(6 / sum(noise.shape))
    if path[0] in ('spm', 'up') or path[-2] == 'dwconv':
      area = noise.shape[0] * noise.shape[1]
      channels = noise.shape[2] if path[0] == 'up' else noise.shape[3]
      groups = noise.shape[3] if path[-2] == 'dwconv' else 1
      return noise * math.sqrt(2 * groups / (area * channels))
    return 0.02 * noise
