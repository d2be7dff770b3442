r"""PiPa on CamVid day -> dusk: contrast of pixels, later of patches.

  python -m uda_jax.main --config=camvid_day_to_dusk/pipa \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.pipa(base.BENCHMARK)
