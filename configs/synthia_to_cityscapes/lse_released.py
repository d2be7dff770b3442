r"""LSE from SYNTHIA to Cityscapes as its released code runs it: FCN-8s.

  python -m uda_jax.main --config=synthia_to_cityscapes/lse_released \
      --workdir=DIR --config.data.root=DIR

Starts as lse.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.lse_released(base.CONVNETS)
