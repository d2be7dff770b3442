r"""MIC on CamVid day -> dusk: self-training, masked target images.

  python -m uda_jax.main --config=camvid_day_to_dusk/mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.mic(base.BENCHMARK)
