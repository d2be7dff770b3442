r"""EHTDI on CamVid day -> dusk, with losses on the borders of pastes.

  python -m uda_jax.main --config=camvid_day_to_dusk/ehtdi_edge \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_day_to_dusk import base


def get_config():
  return laptop.ehtdi_edge(base.BENCHMARK)
