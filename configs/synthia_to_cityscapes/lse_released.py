r"""LSE from SYNTHIA to Cityscapes as its released code runs it: FCN-8s.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/lse_released.py \
      --workdir=DIR --config.data.root=DIR

Starts as lse.
"""

from uda_jax.configs.blocks import lse as blocks
from uda_jax.configs.synthia_to_cityscapes import lse


def get_config():
  """See the module's docstring."""
  return blocks.release(lse.get_config())
