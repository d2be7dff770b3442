r"""VFM-UDA++ on DINOv2-S, GTA5 -> Cityscapes.

No published number.

  python -m uda_jax.main --config=gta5_to_cityscapes/vfm_uda_pp_small \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_foundation.vfm_uda_pp(base.FOUNDATION, size='s')
