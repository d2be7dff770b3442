r"""MIC on HRDA, GTA5 -> Cityscapes; the paper: 75.9 mIoU.

  python -m uda_jax.main --config=gta5_to_cityscapes/mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.mic(base.TRANSFORMERS)
