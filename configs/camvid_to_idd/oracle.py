r"""Training on the target's labels of CamVid -> IDD-Lite: the upper bound.

  python -m uda_jax.main --config=camvid_to_idd/oracle \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.oracle(base.BENCHMARK)
