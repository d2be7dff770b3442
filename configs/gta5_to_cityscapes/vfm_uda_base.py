r"""VFM-UDA on DINOv2-B, GTA5 -> Cityscapes; its repository: 77.1 mIoU.

  python -m uda_jax.main --config=gta5_to_cityscapes/vfm_uda_base \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_foundation.vfm_uda(base.FOUNDATION, size='b')
