r"""PiPa on DAFormer, GTA5 -> Cityscapes, as released.

  python -m uda_jax.main --config=gta5_to_cityscapes/pipa_daformer_released \
      --workdir=DIR --config.data.root=DIR

The paper: 71.7 mIoU.
The contrast of patches never reaches the student there.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.pipa_daformer_released(base.TRANSFORMERS)
