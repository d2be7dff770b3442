r"""Mean-teacher ClassMix self-training on CamVid day -> dusk.

  python -m uda_jax.main --config=camvid_day_to_dusk/self_training \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.self_training(base.BENCHMARK)
