"""Trains on the source of rendered streets alone: the baseline.

python -m uda_jax.main --config=configs/streets/source_only.py --workdir=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.streets import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.source_only()
  # One more row of the results: statistics of the target alone (AdaBN).
  config.eval.target_statistics = 100
  return config
