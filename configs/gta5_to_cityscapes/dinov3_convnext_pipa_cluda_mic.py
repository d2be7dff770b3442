r"""PiPa, CLUDA and MIC on DINOv3's ConvNeXt-B, GTA5 -> Cityscapes; no paper's.

  python -m uda_jax.main \
      --config=gta5_to_cityscapes/dinov3_convnext_pipa_cluda_mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import combinations
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return combinations.dinov3_convnext(
    base.TRANSFORMERS,
    *combinations.PIPA,
    *combinations.CLUDA,
    *combinations.MIC,
  )
