r"""PiPa on CamVid -> IDD-Lite: contrast of pixels, later of patches.

  python -m uda_jax.main --config=camvid_to_idd/pipa \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.pipa(base.BENCHMARK)
