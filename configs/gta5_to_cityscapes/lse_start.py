r"""GTA5 alone, for LSE to start from: FCN-8s on VGG-16.

  python -m uda_jax.main --config=gta5_to_cityscapes/lse_start \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE, and with
torchvision's VGG-16 --config.model.preprocessing=IMAGENET (in LSE's run too).
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_convnets.lse_start(base.CONVNETS)
