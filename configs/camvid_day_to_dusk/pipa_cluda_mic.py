r"""PiPa, CLUDA and MIC at once on CamVid day -> dusk.

  python -m uda_jax.main --config=camvid_day_to_dusk/pipa_cluda_mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.pipa_cluda_mic(base.BENCHMARK)
