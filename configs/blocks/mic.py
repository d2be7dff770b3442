"""MIC's masked pass (arXiv 2212.01322), on top of a method's block."""

import ml_collections

from uda_jax.configs.blocks import additions

ConfigDict = ml_collections.ConfigDict


def masked(
  base: ConfigDict, *, block: int, images: str = 'target'
) -> ConfigDict:
  """A method with an additional pass on masked target images.

  Args:
    base: block of the method.
    block: side of the blocks in pixels; published: 64 for crops of 1024, 32 for
      crops of 512.
    images: see `uda_jax.methods.mic.IMAGES`.
  """
  return additions.added(base, masking=dict(block_size=block, images=images))
