r"""Training on the target's labels of streets -> CamVid: the upper bound.

  python -m uda_jax.main --config=streets_to_camvid/oracle \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.oracle(base.BENCHMARK)
