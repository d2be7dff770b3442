r"""CLUDA on HRDA, GTA5 -> Cityscapes, as released; the paper: 74.4 mIoU.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/cluda_released.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import cluda as blocks
from uda_jax.configs.gta5_to_cityscapes import cluda


def get_config():
  """See the module's docstring."""
  return blocks.released_on_hrda(cluda.get_config())
