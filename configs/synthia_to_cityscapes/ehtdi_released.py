r"""EHTDI from SYNTHIA to Cityscapes as its released code runs it.

  python -m uda_jax.main --config=synthia_to_cityscapes/ehtdi_released \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of a run of ehtdi_start in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_convnets.ehtdi_released(base.CONVNETS)
