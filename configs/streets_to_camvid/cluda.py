r"""CLUDA on streets -> CamVid: contrast of pixels at one resolution.

  python -m uda_jax.main --config=streets_to_camvid/cluda \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.cluda(base.BENCHMARK)
