r"""SYNTHIA alone, 16 classes, for EHTDI to start from.

  python -m uda_jax.main --config=synthia_to_cityscapes/ehtdi_start \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.two_headed_start(base.CONVNETS)
