r"""EHTDI from SYNTHIA to Cityscapes as its released code runs it.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/ehtdi_released.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on SYNTHIA: --config.model.weights=FILE, or the
directory of another run in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import ehtdi as blocks
from uda_jax.configs.synthia_to_cityscapes import ehtdi


def get_config():
  """See the module's docstring."""
  config = ehtdi.get_config()
  return blocks.released(config)
