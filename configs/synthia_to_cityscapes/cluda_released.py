r"""CLUDA on HRDA, SYNTHIA -> Cityscapes, as released.

The paper: 67.2 mIoU of 16 classes in its listed abstract, 66.8 in its text.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/cluda_released.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import cluda as blocks
from uda_jax.configs.synthia_to_cityscapes import cluda


def get_config():
  """See the module's docstring."""
  return blocks.released_on_hrda(cluda.get_config())
