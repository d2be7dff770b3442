r"""Trains on the source of CamVid day -> dusk alone: the baseline.

  python -m uda_jax.main \
      --config=configs/camvid_day_to_dusk/source_only.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import common
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  """See the module's docstring."""
  config = base.get_config()
  config.method = common.source_only()
  # One more row of the results: statistics of the target alone (AdaBN).
  config.eval.target_statistics = 100
  return config
