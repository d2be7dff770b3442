r"""PiPa on DAFormer, GTA5 -> Cityscapes, as released.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/pipa_daformer_released.py \
      --workdir=DIR --config.data.root=DIR

The paper: 71.7 mIoU.
The contrast of patches never reaches the student there.
"""

from uda_jax.configs.blocks import pipa
from uda_jax.configs.gta5_to_cityscapes import daformer_640_60k


def get_config():
  """See the module's docstring."""
  return pipa.released_on(daformer_640_60k.get_config())
