r"""EHTDI on CamVid -> IDD-Lite: source classes pasted, views contrasted.

  python -m uda_jax.main --config=camvid_to_idd/ehtdi \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import laptop
from uda_jax.configs.camvid_to_idd import base


def get_config():
  return laptop.ehtdi(base.BENCHMARK)
