r"""EHTDI* from GTA5 to Cityscapes as its released code runs it.

  python -m uda_jax.main --config=gta5_to_cityscapes/ehtdi_edge_released \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of a run of pixmatch_start in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import published_convnets
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_convnets.ehtdi_edge_released(base.CONVNETS)
