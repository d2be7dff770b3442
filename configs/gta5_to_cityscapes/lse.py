r"""LSE from GTA5 to Cityscapes: FCN-8s on VGG-16.

  python -m uda_jax.main --config=gta5_to_cityscapes/lse \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of a run of lse_start in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_convnets.lse(base.CONVNETS)
