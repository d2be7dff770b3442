r"""CLUDA on CamVid -> IDD-Lite: contrast of pixels at one resolution.

  python -m uda_jax.main --config=camvid_to_idd/cluda \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.cluda(base.BENCHMARK)
