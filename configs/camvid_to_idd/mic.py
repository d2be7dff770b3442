r"""MIC on CamVid -> IDD-Lite: self-training, masked target images.

  python -m uda_jax.main --config=camvid_to_idd/mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.mic(base.BENCHMARK)
