r"""EHTDI on CamVid -> IDD-Lite with the choices of the released code.

  python -m uda_jax.main --config=camvid_to_idd/ehtdi_released \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.ehtdi_released(base.BENCHMARK)
