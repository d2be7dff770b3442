r"""Trains on folder A alone: the baseline.

  python -m uda_jax.main --config=custom/source_only \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.custom import base


def get_config():
  config = base.get_config()
  config.method = common.source_only(augment=True)
  return config
