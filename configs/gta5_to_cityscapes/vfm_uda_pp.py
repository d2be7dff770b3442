r"""VFM-UDA++ on DINOv2-L, GTA5 -> Cityscapes.

Its repository: 79.8 mIoU.

  python -m uda_jax.main --config=gta5_to_cityscapes/vfm_uda_pp \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  # Released code: a fifth of the rate of all other configs.
  return published_foundation.vfm_uda_pp(base.FOUNDATION, learning_rate=1e-5)
