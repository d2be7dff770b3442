r"""PiPa, CLUDA and MIC at once on HRDA, GTA5 -> Cityscapes.

  python -m uda_jax.main \
      --config=configs/gta5_to_cityscapes/pipa_cluda_mic.py \
      --workdir=DIR --config.data.root=DIR

Ours, no paper has run it.
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.blocks import hrda
from uda_jax.configs.blocks import mic
from uda_jax.configs.gta5_to_cityscapes import pipa


def get_config():
  """See the module's docstring."""
  config = pipa.get_config()
  config.model = hrda.cluda_network(
    config.model, detail_crop=config.model.detail_crop
  )
  config.method = mic.masked(
    cluda.method(config.method, entropy_start=cluda.ENTROPY_START), block=64
  )
  return config
