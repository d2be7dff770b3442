"""Trains on the target's own labels of rendered streets: the upper bound.

python -m uda_jax.main --config=configs/streets/oracle.py --workdir=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.streets import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.data = benchmarks.as_oracle(config.data)
  config.method = common.source_only()
  return config
