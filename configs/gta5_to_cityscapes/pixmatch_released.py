r"""PixMatch from GTA5 to Cityscapes as its released code runs it.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/pixmatch_released.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or another
run's directory in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import pixmatch as blocks
from uda_jax.configs.gta5_to_cityscapes import pixmatch


def get_config():
  """See the module's docstring."""
  config = pixmatch.get_config()
  # The list of the official split's 12403 images, one name a line.
  config.data.source.files = 'train.txt'
  config.method = blocks.released()
  return blocks.repeat_updates(config, fresh=False)
