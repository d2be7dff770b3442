r"""PiPa, CLUDA and MIC at once on HRDA, GTA5 -> Cityscapes.

  python -m uda_jax.main --config=gta5_to_cityscapes/pipa_cluda_mic \
      --workdir=DIR --config.data.root=DIR

No paper has run it.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.pipa_cluda_mic(base.TRANSFORMERS)
