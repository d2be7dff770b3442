r"""EHTDI on CamVid -> IDD-Lite, with losses on the borders of pastes.

  python -m uda_jax.main --config=camvid_to_idd/ehtdi_edge \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.ehtdi_edge(base.BENCHMARK)
