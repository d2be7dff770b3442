r"""VFM-UDA++ on DINOv2-B, Cityscapes -> ACDC.

No published number.

  python -m uda_jax.main --config=cityscapes_to_acdc/vfm_uda_pp_base \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.cityscapes_to_acdc import base


def get_config():
  return published_foundation.vfm_uda_pp(base.FOUNDATION, size='b')
