r"""CLUDA on HRDA, GTA5 -> Cityscapes, as released; the paper: 74.4 mIoU.

  python -m uda_jax.main --config=gta5_to_cityscapes/cluda_released \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.cluda_released(base.TRANSFORMERS)
