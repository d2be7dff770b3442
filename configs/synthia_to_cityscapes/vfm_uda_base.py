r"""VFM-UDA on DINOv2-B, SYNTHIA -> Cityscapes; no published number.

  python -m uda_jax.main --config=synthia_to_cityscapes/vfm_uda_base \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_foundation
from uda_jax.configs.synthia_to_cityscapes import base


def get_config():
  return published_foundation.vfm_uda(base.FOUNDATION, size='b')
