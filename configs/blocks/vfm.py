"""Blocks of VFM-UDA and VFM-UDA++."""

import math

import ml_collections

from uda_jax.configs.blocks import common

ConfigDict = ml_collections.ConfigDict

# The factor by which the network enlarges its images: 1024 -> 1120.
ENLARGE = 1.1


def optim(layer_decay: float) -> ConfigDict:
  """AdamW with decay of everything; the encoder 10 times slower.

  Args:
    layer_decay: factor of the rate from a block to the one before; 1 = off.
  """
  config = common.adamw(weight_decay=0.01, groups=(('^backbone/', 0.1, 1.0),))
  config.layer_decay = layer_decay
  return config


def optim_pp(layer_decay: float = 0.9) -> ConfigDict:
  """The optimizer of VFM-UDA++: the adapter is as fast as the decoder."""
  config = optim(layer_decay)
  adapter = '^backbone/(level_embed|spm|interactions|up|norm[1-4])(/|$)'
  config.groups = ((adapter, 1.0, 1.0), *config.groups)
  return config


def group_rate(learning_rate: float, *, group_size: int) -> float:
  """The rate of a group; the released code multiplies by sqrt(all images).

  `config.batch.scale_learning_rate = 'sqrt'` does the same for the groups.

  Args:
    learning_rate: for one image of each domain.
    group_size: images of each domain in a group.
  """
  return learning_rate * math.sqrt(group_size)


def schedule(*, learning_rate: float) -> ConfigDict:
  """Warm-up, then the straight line to 0 that began at step 0."""
  return common.schedule(
    'warmup_poly',
    learning_rate=learning_rate,
    length=40_000,
    warmup_steps=1500,
    warmup_ratio=1e-3,
  )


def method() -> ConfigDict:
  """VFM-UDA."""
  return ConfigDict(
    dict(
      name='vfm_uda',
      add=(),
      threshold=0.968,
      pseudo_weight='batch',
      teacher_bn='batch',
      mix_classes_from='batch',
      mix_include_ignore=True,
      weight_mixed=1.0,
      weight_masked=1.0,
      source_augment='weak',
      flip='image',
      mask_ratio=0.7,
      # Side of the hidden blocks, in tokens.
      mask_block=1,
      weight_distance=0.0,
    )
  )


def method_pp() -> ConfigDict:
  """VFM-UDA++."""
  config = method()
  config.update(
    source_augment='strong', flip='batch', mask_block=64, weight_distance=0.1
  )
  return config


def reference(weights: str) -> ConfigDict:
  """The frozen network of the feature distance, `config.model.reference`.

  The student's side of the distance is the row
  ('feature_head', 'coarsest', 1024) of `config.model.heads`.

  Args:
    weights: DINOv2's file of ViT-L with registers.
  """
  return ConfigDict(dict(encoder='dinov2_l_reg', weights=weights, size=406))
