r"""LSE on streets -> CamVid: rounds on enlarged low-entropy windows.

  python -m uda_jax.main --config=streets_to_camvid/lse \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.lse(base.BENCHMARK)
