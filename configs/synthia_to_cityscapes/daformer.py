r"""DAFormer on SYNTHIA -> Cityscapes; the paper: 60.9 mIoU of 16 classes.

  python -m uda_jax.main --config=synthia_to_cityscapes/daformer \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_transformers.daformer(base.TRANSFORMERS)
