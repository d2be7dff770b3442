r"""MIC on HRDA, SYNTHIA -> Cityscapes; the paper: 67.3 mIoU of 16 classes.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/mic.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import mic
from uda_jax.configs.synthia_to_cityscapes import hrda


def get_config():
  """See the module's docstring."""
  config = hrda.get_config()
  config.method = mic.masked(config.method, block=64)
  return config
