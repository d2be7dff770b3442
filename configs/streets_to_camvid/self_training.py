r"""Mean-teacher ClassMix self-training on streets -> CamVid.

  python -m uda_jax.main --config=streets_to_camvid/self_training \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.self_training(base.BENCHMARK)
