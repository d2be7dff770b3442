r"""CLUDA on CamVid day -> dusk: contrast of pixels at one resolution.

  python -m uda_jax.main --config=camvid_day_to_dusk/cluda \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.cluda(base.BENCHMARK)
