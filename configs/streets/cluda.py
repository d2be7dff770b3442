r"""CLUDA on rendered streets: contrast of pixels at one resolution.

  python -m uda_jax.main \
      --config=configs/streets/cluda.py \
      --workdir=DIR
"""

from uda_jax.configs.blocks import cluda
from uda_jax.configs.streets import self_training


def get_config():
  """See the module's docstring."""
  config = self_training.get_config()
  config.method = cluda.method(config.method, grid=(17, 33))
  return config
