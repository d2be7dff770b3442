r"""PixMatch from SYNTHIA to Cityscapes as its released code runs it.

  python -m uda_jax.main --config=synthia_to_cityscapes/pixmatch_released \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.pixmatch_released(base.CONVNETS)
