r"""VFM-UDA++ on DINOv2-B, SYNTHIA -> Cityscapes.

Its repository: 69.7 mIoU, over classes that it does not name.

  python -m uda_jax.main --config=synthia_to_cityscapes/vfm_uda_pp_base \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_foundation.vfm_uda_pp(base.FOUNDATION, size='b')
