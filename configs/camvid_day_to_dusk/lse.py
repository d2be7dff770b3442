r"""LSE on CamVid day -> dusk: rounds on enlarged low-entropy windows.

  python -m uda_jax.main --config=camvid_day_to_dusk/lse \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.lse(base.BENCHMARK)
