"""Blocks of the additions to a base method, one function each.

A base's block declares the additions that it supports; `config.method.add`
lists the ones that run, by the names of these functions.
"""

import ml_collections

ConfigDict = ml_collections.ConfigDict


def pixel_contrast() -> ConfigDict:
  """PiPa's contrast of source pixels; see `uda_jax.methods.pipa_pixels`."""
  return ConfigDict(
    dict(
      weight=0.1,
      max_views=100,
      max_samples=1024,
      include_ignore=False,
      align_label=True,
      predict='segmentation',
    )
  )


def patch_contrast() -> ConfigDict:
  """PiPa's contrast of target patches; needs `config.data.pair`."""
  return ConfigDict(
    dict(
      weight=0.1,
      # First step of the term.
      start=10000,
      features='logits',
      channels=128,
      threshold=0.9,
      temperature=0.1,
      # Cells of each crop that go into the bank, and the bank's steps.
      samples=1600,
      bank_steps=3,
    )
  )


def cluda_contrast() -> ConfigDict:
  """CLUDA's contrast of fused features; see `uda_jax.methods.cluda`."""
  return ConfigDict(
    dict(
      weight=1.0,
      # (height, width); 2**k + 1 puts cells exactly on pixels.
      grid=(65, 65),
      pixel_order='aligned',
      include_ignore=False,
      class_0_is_outside=False,
      entropy_start=0,
    )
  )


def masking() -> ConfigDict:
  """MIC's masked pass; blocks of 64 pixels for crops of 1024, 32 for 512."""
  return ConfigDict(
    dict(weight=1.0, ratio=0.7, block_size=64, images='target', bn='batch')
  )


def masking_with_labels() -> ConfigDict:
  """MIC's masked pass on a base that labels the target without a teacher."""
  config = masking()
  config.update(
    threshold=0.968, pseudo_weight='batch', teacher_bn='batch', ce_average='all'
  )
  return config


def on_self_training() -> dict:
  """The fields of a base with a teacher: an empty list, and all blocks."""
  return dict(
    add=(),
    pixel_contrast=pixel_contrast(),
    patch_contrast=patch_contrast(),
    cluda_contrast=cluda_contrast(),
    masking=masking(),
  )


def on_own_labels() -> dict:
  """The fields of a base that labels the target by its own prediction."""
  return dict(
    add=(), patch_contrast=patch_contrast(), masking=masking_with_labels()
  )


def added(base: ConfigDict, **blocks: dict) -> ConfigDict:
  """A copy of a method's block with additions, and fields of their blocks."""
  config = base.copy_and_resolve_references()
  config.add = (*config.add, *blocks)
  for name, fields in blocks.items():
    config[name].update(fields)
  return config
