r"""MIC on HRDA, GTA5 -> Cityscapes; the paper: 75.9 mIoU.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/mic.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import mic
from uda_jax.configs.gta5_to_cityscapes import hrda


def get_config():
  """See the module's docstring."""
  config = hrda.get_config()
  config.method = mic.masked(config.method, block=64)
  return config
