r"""MIC on streets -> CamVid: self-training, masked target images.

  python -m uda_jax.main --config=streets_to_camvid/mic \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.mic(base.BENCHMARK)
