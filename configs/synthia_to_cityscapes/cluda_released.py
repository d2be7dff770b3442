r"""CLUDA on HRDA, SYNTHIA -> Cityscapes, as released.

The paper: 67.2 mIoU of 16 classes in its listed abstract, 66.8 in its text.

  python -m uda_jax.main --config=synthia_to_cityscapes/cluda_released \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.cluda_released(base.TRANSFORMERS)
