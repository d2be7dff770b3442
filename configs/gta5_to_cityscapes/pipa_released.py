r"""PiPa on HRDA, GTA5 -> Cityscapes, as released.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/pipa_released.py \
      --workdir=DIR --config.data.root=DIR

The paper: 75.6 mIoU.
The contrast of patches never reaches the student there.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.gta5_to_cityscapes import hrda_60k


def get_config():
  """See the module's docstring."""
  return pipa.released_on(hrda_60k.get_config())
