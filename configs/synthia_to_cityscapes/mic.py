r"""MIC on HRDA, SYNTHIA -> Cityscapes; the paper: 67.3 mIoU of 16 classes.

  python -m uda_jax.main --config=synthia_to_cityscapes/mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.mic(base.TRANSFORMERS)
