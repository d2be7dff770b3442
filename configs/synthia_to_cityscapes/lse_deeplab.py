r"""LSE from SYNTHIA to Cityscapes: DeepLab-v2 on ResNet-101.

  python -m uda_jax.main --config=synthia_to_cityscapes/lse_deeplab \
      --workdir=DIR --config.data.root=DIR

Of the 19 classes of its network, those that SYNTHIA has are scored.

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of a run of lse_deeplab_start in --config.warm_start.workdir.

With weights of BDL or ADVENT: --config.model.aspp_branches=4.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.lse_deeplab(base.CONVNETS)
