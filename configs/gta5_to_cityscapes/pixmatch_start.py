r"""GTA5 alone, for PixMatch and EHTDI to start from.

  python -m uda_jax.main --config=gta5_to_cityscapes/pixmatch_start \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_convnets.two_headed_start(base.CONVNETS)
