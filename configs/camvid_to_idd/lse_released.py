r"""LSE on CamVid -> IDD-Lite with the choices of the released code.

  python -m uda_jax.main --config=camvid_to_idd/lse_released \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.lse_released(base.BENCHMARK)
