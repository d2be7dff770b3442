"""Trains on the target's own labels of rendered streets: the upper bound.

python -m uda_jax.main --config=configs/streets/oracle.py --workdir=DIR
"""

from configs import benchmarks
from configs import common
from configs.streets import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.data = benchmarks.as_oracle(config.data)
  config.method = common.source_only()
  return config
