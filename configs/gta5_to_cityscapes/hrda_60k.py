r"""HRDA on GTA5 -> Cityscapes, 60,000 steps.

  python -m uda_jax.main --config=gta5_to_cityscapes/hrda_60k \
      --workdir=DIR --config.data.root=DIR

The baseline of PiPa on HRDA.
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.gta5_to_cityscapes import base


def get_config():
  return published_transformers.hrda_60k(base.TRANSFORMERS)
