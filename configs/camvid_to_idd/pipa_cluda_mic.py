r"""PiPa, CLUDA and MIC at once on CamVid -> IDD-Lite.

  python -m uda_jax.main \
      --config=configs/camvid_to_idd/pipa_cluda_mic.py \
      --workdir=DIR --config.data.root=DIR
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.blocks import mic
from uda_jax.configs.camvid_to_idd import pipa


def get_config():
  """See the module's docstring."""
  config = pipa.get_config()
  config.method = cluda.method(config.method, grid=(33, 33))
  config.method = mic.masked(config.method, block=16)
  return config
