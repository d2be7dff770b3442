"""Training on GTA5 alone, to be scored on streets that no step has seen.

Domain generalisation: the encoders of the other benchmarks with their data and
schedules, by `source_only`. No target image is read in training, nor for the
curves; the part `target` is there for the image sizes alone. Score on several
sets with `python -m uda_jax.evaluate`, see docs/evaluate.md.
"""

import ml_collections

from uda_jax.configs.blocks import combinations
from uda_jax.configs.blocks import common
from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base

ConfigDict = ml_collections.ConfigDict


def _alone(config: ConfigDict) -> ConfigDict:
  """A run without what its method needed of the target."""
  config.data.flip = True
  config.eval.label_free.num_images = 0
  return config


def deeplab_v2() -> ConfigDict:
  """ResNet-101: the start of PixMatch and EHTDI."""
  return _alone(published_convnets.two_headed_start(base.CONVNETS))


def fcn8s_vgg() -> ConfigDict:
  """VGG16: the start of LSE."""
  return _alone(published_convnets.lse_start(base.CONVNETS))


def _source_only(config: ConfigDict) -> ConfigDict:
  """A run by `source_only` with color jitter in place of its method."""
  config = _alone(config)
  config.method = common.source_only(augment=True)
  config.teacher = common.no_teacher()
  config.eval.network = 'student'
  return config


def mit_b5() -> ConfigDict:
  """MiT-B5 and DAFormer's head, as DAFormer trains them."""
  return _source_only(published_transformers.daformer(base.TRANSFORMERS))


def convnext(size: str = 'base') -> ConfigDict:
  """DINOv3's ConvNeXt under DAFormer's head; `size`: of its files."""
  return _source_only(
    combinations.dinov3_convnext(base.TRANSFORMERS, size=size)
  )


def eva02() -> ConfigDict:
  """EVA-02-B under DAFormer's head."""
  return _source_only(combinations.eva02(base.TRANSFORMERS))


def dinov2(*, size: str, adapter: bool = False) -> ConfigDict:
  """DINOv2 as VFM-UDA trains it, or with VFM-UDA++'s adapter.

  Args:
    size: 's', 'b' or 'l'.
    adapter: whether with a ViT-Adapter.
  """
  make = (
    published_foundation.vfm_uda_pp if adapter else published_foundation.vfm_uda
  )
  config = _source_only(make(base.FOUNDATION, size=size))
  if adapter:
    # They served the feature distance.
    config.model.heads = ()
    del config.model.reference
  else:
    config.model.mask_token = False
  return config
