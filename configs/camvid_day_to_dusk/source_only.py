r"""Source-only training on CamVid day -> dusk: the baseline.

  python -m uda_jax.main --config=camvid_day_to_dusk/source_only \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.source_only(base.BENCHMARK)
