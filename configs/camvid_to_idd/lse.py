r"""LSE on CamVid -> IDD-Lite: rounds on enlarged low-entropy windows.

  python -m uda_jax.main --config=camvid_to_idd/lse \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.lse(base.BENCHMARK)
