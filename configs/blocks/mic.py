"""MIC's fields (arXiv 2212.01322), on top of any method of the family."""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def masked(base: ConfigDict, *, block: int) -> ConfigDict:
  """A method with one more pass of masked target images.

  Args:
    base: block of the method.
    block: side of the blocks in pixels; published: 64 for crops of 1024, 32 for
      crops of 512.
  """
  config = base.copy_and_resolve_references()
  config.update(weight_masked=1.0, mask_ratio=0.7, mask_block=block)
  return config
