r"""PiPa, CLUDA and MIC at once on CamVid -> IDD-Lite.

  python -m uda_jax.main --config=camvid_to_idd/pipa_cluda_mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.pipa_cluda_mic(base.BENCHMARK)
