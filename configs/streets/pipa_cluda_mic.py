r"""PiPa, CLUDA and MIC at once on rendered streets.

  python -m uda_jax.main \
      --config=configs/streets/pipa_cluda_mic.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.blocks import mic
from uda_jax.configs.streets import pipa


def get_config():
  """See the module's docstring."""
  config = pipa.get_config()
  config.method = cluda.method(config.method, grid=(17, 33))
  config.method = mic.masked(config.method, block=16)
  return config
