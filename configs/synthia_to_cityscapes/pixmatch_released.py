r"""PixMatch from SYNTHIA to Cityscapes as its released code runs it.

  python -m uda_jax.main \
      --config=configs/synthia_to_cityscapes/pixmatch_released.py \
      --workdir=DIR --config.data.root=DIR

Starts from ImageNet weights: --config.model.weights=FILE.
"""

from uda_jax.configs.blocks import pixmatch as blocks
from uda_jax.configs.synthia_to_cityscapes import pixmatch


def get_config():
  """See the module's docstring."""
  config = pixmatch.get_config()
  config.method = blocks.released()
  return blocks.repeat_updates(config, fresh=False)
