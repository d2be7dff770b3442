r"""Mean-teacher ClassMix self-training on CamVid -> IDD-Lite.

  python -m uda_jax.main --config=camvid_to_idd/self_training \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.self_training(base.BENCHMARK)
