r"""MIC on HRDA, Cityscapes -> ACDC.

  python -m uda_jax.main --config=cityscapes_to_acdc/mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import published_transformers
from uda_jax.configs.cityscapes_to_acdc import base


def get_config():
  return published_transformers.mic(base.TRANSFORMERS)
