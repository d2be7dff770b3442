r"""EHTDI on streets -> CamVid with the choices of the released code.

  python -m uda_jax.main --config=streets_to_camvid/ehtdi_released \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.ehtdi_released(base.BENCHMARK)
