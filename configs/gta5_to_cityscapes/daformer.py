r"""DAFormer on GTA5 -> Cityscapes; the paper: 68.3 mIoU.

  python -m uda_jax.main --config=gta5_to_cityscapes/daformer \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.daformer(base.TRANSFORMERS)
