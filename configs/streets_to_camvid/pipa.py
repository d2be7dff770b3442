r"""PiPa on streets -> CamVid: contrast of pixels, later of patches.

  python -m uda_jax.main --config=streets_to_camvid/pipa \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.pipa(base.BENCHMARK)
