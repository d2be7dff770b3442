r"""EHTDI on streets -> CamVid, with losses on the borders of pastes.

  python -m uda_jax.main --config=streets_to_camvid/ehtdi_edge \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.streets_to_camvid import base


def get_config():
  return laptop.ehtdi_edge(base.BENCHMARK)
