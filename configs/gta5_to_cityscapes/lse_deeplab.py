r"""LSE from GTA5 to Cityscapes: DeepLab-v2 on ResNet-101.

  python -m uda_jax.main --config=gta5_to_cityscapes/lse_deeplab \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of a run of lse_deeplab_start in --config.warm_start.workdir.

With weights of BDL or ADVENT: --config.model.aspp_branches=4.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_convnets.lse_deeplab(base.CONVNETS)
