r"""LSE from SYNTHIA to Cityscapes as its released code runs it: DeepLab-v2.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/lse_deeplab_released.py \
      --workdir=DIR --config.data.root=DIR

Starts as lse_deeplab.
"""

from uda_jax.configs.blocks import lse as blocks
from uda_jax.configs.synthia_to_cityscapes import lse_deeplab


def get_config():
  """See the module's docstring."""
  return blocks.release(lse_deeplab.get_config())
