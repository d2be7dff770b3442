r"""Trains on folder A alone: what adaptation has to beat.

  python -m uda_jax.main --config=configs/custom/source_only.py \
      --config.data.root=DIR --workdir=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.custom import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.source_only(augment=True)
  return config
