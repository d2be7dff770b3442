r"""HRDA on SYNTHIA -> Cityscapes; the paper: 65.8 mIoU of 16 classes.

  python -m uda_jax.main --config=synthia_to_cityscapes/hrda \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.hrda(base.TRANSFORMERS)
