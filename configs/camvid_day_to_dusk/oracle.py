r"""Training on the target's labels of CamVid day -> dusk: the upper bound.

  python -m uda_jax.main --config=camvid_day_to_dusk/oracle \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.oracle(base.BENCHMARK)
