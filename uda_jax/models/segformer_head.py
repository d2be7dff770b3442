"""SegFormer's decoder (arXiv 2105.15203, section 3.2): an all-MLP head.

Modules have the names of the authors' PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from uda_jax.models import daformer_head
from uda_jax.ops import resize


class SegformerHead(nn.Module):
  """Embeddings of all stages, concatenated coarsest first, and a 1x1 fusion.

  Attributes:
    num_classes: classes of the logits.
    width: channels of the embeddings (256 with MiT-B0 and B1, else 768).
    dropout: fraction of channels dropped before the classifier.
    dtype: compute dtype.
  """

  num_classes: int
  width: int = 768
  dropout: float = 0.1
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    features: Sequence[jax.Array],
    *,
    use_running_average: bool,
    deterministic: bool = True,
  ) -> tuple[jax.Array, jax.Array]:
    """Decodes to the first stage's size, see `DAFormerHead`."""
    maps = []
    for i, x in reversed(list(enumerate(features))):
      x = daformer_head.Embedding(
        self.width, self.dtype, name=f'linear_c{i + 1}'
      )(x)
      maps.append(resize.bilinear(x, features[0].shape[1:3]))
    fused = daformer_head.ConvModule(
      self.width, dtype=self.dtype, name='linear_fuse'
    )(jnp.concatenate(maps, -1), use_running_average=use_running_average)
    logits = daformer_head.classify(
      fused,
      self.num_classes,
      self.dropout,
      self.dtype,
      deterministic,
      name='linear_pred',
    )
    return logits, fused

  @staticmethod
  def kernel_init(path: tuple[str, ...], noise: jax.Array) -> jax.Array:
    """Returns the initial value of a kernel, as DAFormer's decoders have it."""
    return daformer_head.initial_kernel(path, noise, classifier='linear_pred')
