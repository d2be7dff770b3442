r"""Trains on folder A alone: what adaptation has to beat.

  python -m uda_jax.main --config=configs/custom/source_only.py \
      --config.data.root=DIR --workdir=DIR
"""

from configs import common
from configs.custom import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.source_only(augment=True)
  return config
