r"""EHTDI* from GTA5 to Cityscapes as its released code runs it.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/ehtdi_edge_released.py \
      --workdir=DIR --config.data.root=DIR

Starts from a network trained on GTA5: --config.model.weights=FILE, or the
directory of another run in --config.warm_start.workdir.
"""

from uda_jax.configs.blocks import ehtdi as blocks
from uda_jax.configs.gta5_to_cityscapes import ehtdi_edge


def get_config():
  """See the module's docstring."""
  config = ehtdi_edge.get_config()
  # The list of the official split's 12403 images, one name a line.
  config.data.source.files = 'train.txt'
  return blocks.released(config)
