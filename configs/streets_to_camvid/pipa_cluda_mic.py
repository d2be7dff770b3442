r"""PiPa, CLUDA and MIC at once on streets -> CamVid.

  python -m uda_jax.main --config=streets_to_camvid/pipa_cluda_mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.pipa_cluda_mic(base.BENCHMARK)
