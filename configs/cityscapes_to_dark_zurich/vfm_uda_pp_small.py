r"""VFM-UDA++ on DINOv2-S, Cityscapes -> Dark Zurich.

No published number.

  python -m uda_jax.main --config=cityscapes_to_dark_zurich/vfm_uda_pp_small \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.cityscapes_to_dark_zurich import base


def get_config():
  return published_foundation.vfm_uda_pp(base.FOUNDATION, size='s')
