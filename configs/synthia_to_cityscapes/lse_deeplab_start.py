r"""SYNTHIA alone, for LSE to start from: DeepLab-v2 on ResNet-101.

  python -m uda_jax.main --config=synthia_to_cityscapes/lse_deeplab_start \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.lse_deeplab_start(base.CONVNETS)
