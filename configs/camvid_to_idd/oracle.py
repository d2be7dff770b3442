r"""Trains on the target's own labels of CamVid -> IDD-Lite: the upper bound.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/oracle.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import benchmarks
from uda_jax.configs.blocks import common
from uda_jax.configs.camvid_to_idd import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.data = benchmarks.as_oracle(config.data)
  config.method = common.source_only()
  return config
