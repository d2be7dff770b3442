r"""LSE from GTA5 to Cityscapes as its released code runs it: DeepLab-v2.

  python -m uda_jax.main --config=gta5_to_cityscapes/lse_deeplab_released \
      --workdir=DIR --config.data.root=DIR

Starts as lse_deeplab.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_convnets.lse_deeplab_released(base.CONVNETS)
